"""docs/tools.md is complete, and its examples load."""

import re
import tomllib
from pathlib import Path
from typing import Final, get_args

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import ToolConfig

DOC: Final = (Path(__file__).parents[2] / "docs" / "tools.md").read_text("utf-8")


@pytest.mark.parametrize("text", re.findall(r"^```toml\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL))
def test_every_table_loads(tmp_path: Path, text: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(text)
    tools = load_config(path, {"WEATHER_TOKEN": "secret"}).tools
    assert tools.keys() == tomllib.loads(text)["tools"].keys()


def test_every_kind_has_its_row() -> None:
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(ToolConfig)[0])}
    assert {match[1] for match in re.finditer(r"^\| `(\w+)` \|", DOC, re.MULTILINE)} == {"kind", *kinds}
