"""The README's commands and examples work as they stand, and so does the configuration in docs/configuration.md."""

import asyncio
import re
import sys
import tomllib
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from tests.kit.needs import needs
from tests.kit.process import environment, serving_process, start
from tests.kit.serving import serving

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DEMO = '[server]\nport = 0\n[models.default]\nprovider = "demo"\n'


def _blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


async def _run(*command: str, folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(folder)
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


async def test_the_openai_example_prints_the_answer(tmp_path: Path) -> None:
    (example,) = [block for block in _blocks("python") if "from openai" in block]
    async with serving(load_config(None, {}), tmp_path) as server:
        script = example.replace("http://127.0.0.1:8000", server.url)
        out = await _run(sys.executable, "-W", "ignore", "-c", script, folder=tmp_path)
    assert "The **East** region had the highest total sales: 169,168.25." in out


async def test_the_client_example_prints_the_answer(tmp_path: Path) -> None:
    (example,) = [block for block in _blocks("python") if "StreamClient" in block]
    async with serving(load_config(None, {}), tmp_path) as server:
        script = example.replace("http://127.0.0.1:8000", server.url)
        out = await _run(sys.executable, "-c", script, folder=tmp_path)
    assert "[SQLAgent uses query]" in out
    assert "The answer: The **East** region had the highest total sales: 169,168.25." in out


@needs("curl")
async def test_the_curl_line_streams(tmp_path: Path) -> None:
    match = re.search(r"^    (curl .*?\n.*)$", README, re.MULTILINE)
    assert match
    async with serving(load_config(None, {}), tmp_path) as server:
        line = match[1].replace("http://127.0.0.1:8000", server.url)
        out = await _run("bash", "-c", line, folder=tmp_path)
    assert out.endswith("data: [DONE]\n\n")
    assert "127.5" in out


async def test_the_check_line_is_satisfied(tmp_path: Path) -> None:
    assert "aiostream-server check --config configs/demo.toml" in README
    process = await start("check", "--config", str(ROOT / "configs/demo.toml"), state_directory=tmp_path)
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert out.decode().splitlines()[-1] == "ok"


@pytest.mark.parametrize("document", ["README.md", "docs/configuration.md"])
def test_the_toml_examples_load(tmp_path: Path, document: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text("\n".join(_blocks("toml", (ROOT / document).read_text("utf-8"))), "utf-8")
    config = load_config(path, {"OPENAI_API_KEY": "k", "SALES_DATABASE_URL": "sqlite:///sales.db"})
    assert config.models["default"].provider == "openai"


async def test_the_team_example_is_served(tmp_path: Path) -> None:
    (example,) = [block for block in _blocks("python") if "def writers" in block]
    (team,) = [block for block in _blocks("toml") if "[[teams]]" in block]
    (tmp_path / "mycompany").mkdir()
    (tmp_path / "mycompany" / "teams.py").write_text(example, "utf-8")
    assert tomllib.loads(team)["teams"][0]["answer_from"] == ["Editor"]
    async with serving_process(f"{DEMO}\n{team}", tmp_path) as server:
        process = await start("ask", "hello", "--url", server.url, "--model", "writers", state_directory=tmp_path)
        out, _ = await process.communicate()
    assert "💬 Writer" in out.decode()
    assert "✅ Editor" in out.decode()
