"""The examples of docs/teams.md for teams from Python are served as they are."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.service.config_check import find_problems
from aiostream_server.web.state import STATE
from tests.kit.serving import ask, serving

DOC = (Path(__file__).parents[2] / "docs/teams.md").read_text("utf-8")
SECTION = DOC.partition("\n## A team from Python")[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of the section, each named in its first line, and a module that one of them imports."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "_style.py").write_text("STYLE = 'Plain.'\n", "utf-8")
    for block in blocks("python"):
        name = block.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(block, "utf-8")
    (tmp_path / "server.toml").write_text("\n".join(blocks("toml")), "utf-8")
    yield tmp_path
    sys.modules.pop("mycompany", None)


async def test_the_teams_are_served(folder: Path) -> None:
    config = load_config(folder / "server.toml", {})
    assert await find_problems(config, state_directory=folder) == []
    async with serving(config, folder) as server:
        answers = {
            spec.id: (await ask(server.url, "hi", model=spec.id)).text
            for spec in server.runner.app[STATE].state.catalogue
        }
        shown = {spec.id: (spec.name, spec.config.description) for spec in server.runner.app[STATE].state.catalogue}
    assert shown == {
        "writers": ("writers", ""),
        "letters": ("Letters", "Writes letters."),
        "thank-you-notes": ("thank-you-notes", "Writes a note of thanks."),
        "sales-report": ("Sales report", "Writes reports on what was sold."),
        "coder": ("coder", ""),
    }
    assert "✅ **Editor**" in answers["writers"]
    assert "✅ **Writer**" in answers["letters"]
    assert "**Thanks**" in answers["thank-you-notes"]
    assert "**Reporter**" in answers["sales-report"]


async def test_the_line_that_check_says(folder: Path) -> None:
    (said,) = blocks("text")
    text = (folder / "mycompany.py").read_text("utf-8").replace("writer = AssistantAgent", "writer = AssistentAgent")
    (folder / "mycompany.py").write_text(text, "utf-8")
    config = load_config(folder / "server.toml", {})
    (line,) = await find_problems(config, state_directory=folder)
    assert line.replace(str(folder), "/srv") == said.strip()
