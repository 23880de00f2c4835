"""docs/architecture.md shows the rooms as tests/test_imports.py has them, and names only files that exist."""

import re
from pathlib import Path
from typing import Final

from tests.test_imports import ROOMS

ROOT: Final = Path(__file__).parents[2]
DOC: Final = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PLACES: Final = (ROOT, ROOT / "aiostream_server")


def test_the_rooms_have_the_numbers_of_the_import_test() -> None:
    shown = {
        room.removesuffix("/").removesuffix(".py"): int(number)
        for number, rooms in re.findall(r"^\| (\d+) \| ([^|]+) \|", DOC, re.MULTILINE)
        for room in re.findall(r"`([^`]+)`", rooms)
    }
    assert shown == {name: room.number for name, room in ROOMS.items() if not name.startswith("__")}


def test_every_path_that_is_named_exists() -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|cfg))`", DOC)
    assert len(named) > 40
    assert [path for path in named if not any((place / path).exists() for place in PLACES)] == []
