"""How the page is served."""

import re
from importlib.resources import files
from pathlib import Path

import aiohttp
import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import PageConfig
from aiostream_server.events import EVENTS
from scripts.devtools.page_types import FILE, types
from tests.kit.serving import serving

PAGE = files("aiostream_server.page")
MOST_BYTES = 200_000


def names() -> list[str]:
    folders = (PAGE, PAGE.joinpath("libraries"))
    prefixes = ("", "libraries/")
    found = [
        f"{prefix}{each.name}" for prefix, folder in zip(prefixes, folders, strict=True) for each in folder.iterdir()
    ]
    return sorted(name for name in found if name.endswith((".js", ".css", ".svg")))


@pytest.mark.parametrize(("path", "root"), [("/", "./"), ("/runs", "./"), ("/runs/run-1", "../")])
async def test_each_path_is_the_page_with_a_way_to_its_root(tmp_path: Path, path: str, root: str) -> None:
    async with serving(load_config(None, {}), tmp_path) as server, aiohttp.ClientSession(server.url) as session:
        async with session.get(path) as response:
            text = await response.text()
            policy = response.headers["Content-Security-Policy"]
            tag = response.headers["ETag"]
        async with session.get(path, headers={"If-None-Match": tag}) as again:
            assert again.status == 304
    assert response.status == 200
    assert response.content_type == "text/html"
    assert f'<base id="base" href="{root}">' in text
    assert "'unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert not re.search(r"<script(?! type=\"module\" src=)|<style| style=| on\w+=", text)
    assert not re.search(r"https?://", text)


async def test_every_file_is_served_with_its_type_and_the_policy(tmp_path: Path) -> None:
    sizes = [len(PAGE.joinpath("index.html").read_bytes())]
    async with serving(load_config(None, {}), tmp_path) as server, aiohttp.ClientSession(server.url) as session:
        for name in names():
            async with session.get(f"/page/{name}") as response:
                sizes.append(len(await response.read()))
            assert response.status == 200, name
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert (
                response.content_type
                == {
                    "js": "text/javascript",
                    "css": "text/css",
                    "svg": "image/svg+xml",
                }[name.rpartition(".")[2]]
            )
        for wrong in ("nothing.js", "__init__.py", "../config/model.py", "libraries/..%2f..%2fevents%2fmodel.js"):
            async with session.get(f"/page/{wrong}") as response:
                assert response.status == 404
    assert sum(sizes) < MOST_BYTES


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    config = load_config(None, {}).model_copy(update={"page": PageConfig(enabled=False)})
    async with serving(config, tmp_path) as server, aiohttp.ClientSession(server.url) as session:
        for path in ("/", "/runs", "/runs/run-1", "/page/app.js"):
            async with session.get(path) as response:
                assert response.status == 404


@pytest.mark.parametrize("path", ["/", "/page/app.js"])
async def test_without_keys_no_page_of_another_host_gets_it(tmp_path: Path, path: str) -> None:
    """DNS rebinding: the name in `Host` is not this machine's."""
    host = {"Host": "rebound.example"}
    async with (
        serving(load_config(None, {}), tmp_path) as server,
        aiohttp.ClientSession(server.url) as session,
        session.get(path, headers=host) as response,
    ):
        assert response.status == 403


def test_the_types_of_events_are_those_of_the_classes() -> None:
    assert FILE.read_text("utf-8") == types(), "run scripts/dev/page-types"


def test_the_page_knows_every_kind_of_event() -> None:
    code = PAGE.joinpath("run_log.js").read_text("utf-8")
    assert {*EVENTS} - {"run_started"} == {*re.findall(r'case "(\w+)":', code), "waiting"}
    assert 'event.type === "waiting"' in code


def test_nothing_is_parsed_as_html() -> None:
    for name in names():
        code = PAGE.joinpath(name).read_text("utf-8")
        if not name.startswith("libraries/"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function", code
            )
