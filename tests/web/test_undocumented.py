"""The undocumented names of aiohttp that `web` uses exist in the pinned version, and stand in one module."""

from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from aiostream_server.web import undocumented

UNDOCUMENTED: Final = {
    "protocol": (web.Request, "a drain cannot tell busy connections from idle ones"),
    "force_close": (web.RequestHandler, "a connection whose body never ends stays open for ten seconds more"),
    "handle_error": (web.RequestHandler, "what is no HTTP is answered as plain text that repeats it"),
    "_request_factory": (web.RequestHandler, "the same: an app does not know its connections"),
    "http_exception": (web.UrlMappingMatchInfo, "a preflight request is answered 405"),
}


@pytest.mark.parametrize("name", UNDOCUMENTED)
def test_each_name_exists_in_the_pinned_version(name: str) -> None:
    owner, breaks = UNDOCUMENTED[name]
    assert hasattr(owner, name), f"aiohttp {version('aiohttp')} has no {name}; without it, {breaks}"


def test_no_other_module_of_the_room_uses_them() -> None:
    here = Path(undocumented.__file__)
    uses = ("request.protocol", "protocol.force_close", "match_info.http_exception")
    found = {file.name for file in here.parent.glob("*.py") if any(use in file.read_text("utf-8") for use in uses)}
    assert found == {here.name}
