"""A wheel has every file of the package: scripts for Redis, the page, marker files."""

import configparser
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent / "aiostream_server"


def test_every_file_that_is_no_module_is_listed() -> None:
    """`[options.package_data]` names all of them, and no pattern there is left without files."""
    settings = configparser.ConfigParser()
    settings.read(_PACKAGE.parent / "setup.cfg", "utf-8")
    patterns = [each.strip() for each in settings["options.package_data"]["aiostream_server"].split(",")]
    listed = {pattern: set(_PACKAGE.glob(pattern)) for pattern in patterns}
    assert [pattern for pattern, files in listed.items() if not files] == []
    present = {path for path in _PACKAGE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert present - set().union(*listed.values()) == set()
