"""`aiostream-server teams show`: the drawing that docs/teams.md has, and what a terminal that cannot draw gets."""

import asyncio
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pytest

from aiostream_server.config.model import Config, DemoModelConfig
from aiostream_server.errors import ConfigError
from aiostream_server.service.trial import see
from tests.kit.process import environment

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ("--config", str(ROOT / "examples" / "server.toml"))
DEMO: Final = Config(models={"default": DemoModelConfig(provider="demo")})


async def shown(folder: Path, *arguments: str, **extra: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiostream_server", "teams", "show", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(folder / "state", OPENAI_API_KEY="none", **extra),
    )
    out, errors = await process.communicate()
    assert not (folder / "state").exists(), "nothing is kept"
    return process.returncode, out.decode(), errors.decode()


async def test_the_drawing_in_the_documents_is_the_one_that_is_drawn(tmp_path: Path) -> None:
    doc = (ROOT / "docs" / "teams.md").read_text("utf-8")
    (drawn,) = re.findall(r"```text\n(graph · Newsroom\n.*?)```", doc, re.DOTALL)
    assert await shown(tmp_path, "graph", "--width", "80", *EXAMPLES) == (0, drawn, "")


async def test_where_lines_cannot_be_written_there_are_other_signs(tmp_path: Path) -> None:
    status, out, errors = await shown(tmp_path, "data", PYTHONIOENCODING="ascii", COLUMNS="60")
    assert (status, errors) == (0, "")
    assert "+----" in out
    assert max(map(len, out.splitlines())) <= 60


async def test_what_is_seen_is_json_and_a_team_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    seen = json.loads(json.dumps(asdict(await see(DEMO, tmp_path, "general"))))
    assert (seen["id"], seen["shape"]["name"], seen["shape"]["tools"]) == ("general", "Assistant", ["calculate"])
    with pytest.raises(ConfigError, match=r"^there is no team 'nobody'; there are: general, data$"):
        await see(DEMO, tmp_path, "nobody")
    built_in = r"there are: general, data \(no --config was given: these are the built-in teams\)$"
    with pytest.raises(ConfigError, match=built_in):
        await see(DEMO, tmp_path, "nobody", has_file=False)


async def test_no_secret_is_needed(tmp_path: Path) -> None:
    """Neither that of a model, nor a database's, nor a tool's."""
    path = tmp_path / "server.toml"
    text = """
[models.default]
provider = "openai"
model = "m"
api_key_env = "NO_SUCH_KEY"
[database.sales]
url_env = "NO_SUCH_KEY"
[conversations]
url_file = "$CREDENTIALS_DIRECTORY/url"
[tools.search]
kind = "http"
description = "searches"
url = "https://example.org/"
header_env = { Authorization = "NO_SUCH_KEY" }
[[teams]]
id = "a"
factory = "tests.kit.sample_teams:solo"
tools = ["search"]
"""
    path.write_text(text, "utf-8")
    status, out, errors = await shown(tmp_path, "a", "--config", str(path))
    assert status == 0
    assert out.startswith("a\n")
    assert sorted(line.split(": ")[1] for line in errors.splitlines()) == [
        "api_key_env",
        "header_env",
        "url_env",
        "url_file",
    ]
