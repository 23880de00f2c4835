"""`/v1/files` over real sockets: for its owner, or with a signature; for all others it does not exist."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from aiohttp import web
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import CancellationToken

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig, Config, FilesConfig, ServerConfig, TeamConfig
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from aiostream_server.intake.principal import LOCAL_OWNER, Owner
from aiostream_server.store.run_files import LinkedFile, RunFiles, current_files
from aiostream_server.teams.context import TeamContext
from tests.kit.serving import Server, ask, serving
from tests.web.bare_client import connected, until
from tests.web.connections import kept_for, transports

CONTENT: Final = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 1_000
SVG: Final = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


class Leaves(BaseChatAgent):
    """Its answer is a picture, where there can be one."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        files = current_files.get()
        content = "no pictures here" if files is None else files.add_soon(CONTENT, "image/png", "A [picture]").markdown
        return Response(chat_message=TextMessage(content=content, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing to reset."""


def leaves(_: TeamContext) -> Leaves:
    return Leaves("Leaves", "leaves a picture")


def config_with(**tables: object) -> Config:
    return load_config(None, {}).model_copy(update=tables)


async def leave(
    server: Server, owner: Owner = LOCAL_OWNER, content: bytes = CONTENT, media_type: str = "image/png", base: str = ""
) -> LinkedFile:
    """As a run of this owner's would."""
    files = server.state.state.resources.files
    assert files is not None
    return await RunFiles(files, owner, base or server.url).add(content, media_type, "Ümsatz by month")


@asynccontextmanager
async def fetched(
    url: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> AsyncIterator[aiohttp.ClientResponse]:
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as response:
        yield response


async def status_of(url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> int:
    async with fetched(url, headers, method) as response:
        return response.status


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(config_with(), tmp_path) as started:
        yield started


@asynccontextmanager
async def keyed(tmp_path: Path, **tables: object) -> AsyncIterator[tuple[Server, dict[str, Owner]]]:
    """Two keys that are believed about users; and their owners, by key."""
    file = tmp_path / "keys.json"
    owners: dict[str, Owner] = {}
    for name in ("one", "two"):
        key, text = new_key(name, trust_user_headers=True)
        add_key(file, key)
        owners[text.get_secret_value()] = Owner(key.id)
    async with serving(config_with(auth=AuthConfig(keys_file=file), **tables), tmp_path) as server:
        yield server, owners


async def test_a_signed_link_gives_the_file_and_how_to_treat_it(server: Server) -> None:
    left = await leave(server)
    async with fetched(left.url) as response:
        assert (response.status, await response.read()) == (200, CONTENT)
        headers = response.headers
    assert headers["Content-Type"] == "image/png"
    assert headers["Cache-Control"].startswith("private")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert headers["Content-Disposition"] == "inline; filename*=UTF-8''%C3%9Cmsatz%20by%20month.png"
    assert await status_of(left.url.replace("/v1/", "/api/v1/")) == 200


async def test_a_head_is_the_same_without_the_body(server: Server) -> None:
    left = await leave(server)
    async with fetched(left.url, method="HEAD") as response:
        assert (response.status, await response.read()) == (200, b"")
        assert response.headers["Content-Length"] == str(len(CONTENT))
        tag = response.headers["ETag"]
    assert await status_of(left.url, {"If-None-Match": tag}) == 304
    assert await status_of(left.url, {"If-None-Match": '"other"'}) == 200


async def test_what_is_no_picture_is_no_page_either(server: Server) -> None:
    for media_type, content in (("text/html", b"<script>alert(1)</script>"), ("text/csv", b"a,b")):
        left = await leave(server, content=content, media_type=media_type)
        async with fetched(left.url) as response:
            assert response.headers["Content-Disposition"].startswith("attachment")
            assert "html" not in response.headers["Content-Type"]
    left = await leave(server, content=SVG, media_type="image/svg+xml")
    async with fetched(left.url) as response:
        assert response.content_type == "image/svg+xml"
        assert response.headers["Content-Security-Policy"].startswith("sandbox;")


async def test_a_link_that_was_changed_is_404_whoever_asks(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (server, owners):
        key, owner = next(iter(owners.items()))
        left = await leave(server, owner)
        other = await leave(server, owner)
        path, _, query = left.url.partition("?")
        expires, _, signature = query.partition("&")
        for url in (
            left.url[:-1],
            left.url.replace(left.id, other.id),
            left.url.replace("expires=1", "expires=3"),
            f"{path}?{expires}",
            f"{path}?{signature}",
            f"{left.url}&{signature}",
            f"{path}?expires=&signature=",
            f"{path}?expires=-1&{signature}",
            f"{server.url}/v1/files/file-{'a' * 24}?{query}",
        ):
            for headers in ({}, {"Authorization": f"Bearer {key}"}):
                assert await status_of(url, headers) == 404, url
        assert await status_of(left.url) == 200


async def test_without_a_signature_it_is_for_its_owner(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (server, owners):
        (one, owner), (two, _) = owners.items()
        left = await leave(server, Owner(owner.key_id, "alice"))
        url = left.url.partition("?")[0]
        alice = {"X-User-ID": "alice"}
        assert await status_of(url) == 401
        assert await status_of(url, {"X-API-Key": one, **alice}) == 200
        assert await status_of(url, {"X-API-Key": one}) == 404
        assert await status_of(url, {"X-API-Key": one, "X-User-ID": "bob"}) == 404
        assert await status_of(url, {"X-API-Key": two, **alice}) == 404
        assert await status_of(left.url) == 200


async def test_no_path_leads_anywhere_else(server: Server) -> None:
    left = await leave(server)
    query = left.url.partition("?")[2]
    for path in (
        "../conversations.db",
        "..%2Ffiles.secret",
        "%2e%2e/files.secret",
        "file-..",
        "x" * 5_000,
        "%00",
        "a/b",
    ):
        for url in (f"{server.url}/v1/files/{path}", f"{server.url}/v1/files/{path}?{query}"):
            assert await status_of(url) == 404, url


async def test_a_server_without_keys_answers_its_own_machine_only(server: Server) -> None:
    left = await leave(server)
    assert await status_of(left.url, {"Host": "evil.example"}) == 403
    assert await status_of(left.url, {"X-Forwarded-For": "10.0.0.1"}) == 403


async def test_one_whose_time_is_over_is_404(tmp_path: Path) -> None:
    async with serving(config_with(files=FilesConfig(expiry_s=0.5)), tmp_path) as server:
        left = await leave(server)  # in whole seconds, rounded down: it is over by now, or in an instant
        while await status_of(left.url) == 200:
            pass
        assert await status_of(left.url) == 404
        assert await status_of(left.url.partition("?")[0]) == 404


async def test_links_outlive_a_restart(tmp_path: Path) -> None:
    async with serving(config_with(), tmp_path) as server:
        left = await leave(server)
    async with serving(config_with(), tmp_path) as server:
        path = left.url.removeprefix("http://").partition("/")[2]
        assert await status_of(f"{server.url}/{path}") == 200


async def test_workers_serve_one_anothers_files(tmp_path: Path) -> None:
    """Two servers at once over one state directory are what workers are, and generations of a restart."""
    async with serving(config_with(), tmp_path) as one, serving(config_with(), tmp_path) as other:
        for here, there in ((one, other), (other, one)):
            left = await leave(here)
            assert await status_of(left.url.replace(here.url, there.url)) == 200


@pytest.mark.parametrize(
    ("public_url", "host", "base"),
    [
        ("https://agents.example.com/llm/", "127.0.0.1", "https://agents.example.com/llm"),
        (None, "chat.example:8000", "http://chat.example:8000"),
        (None, "[::1]:80", "http://[::1]:80"),
        (None, "evil.example)<script>", ""),
        (None, "a b", ""),
    ],
)
async def test_links_begin_as_the_configuration_says_or_else_the_request(
    tmp_path: Path, public_url: str | None, host: str, base: str
) -> None:
    """Of a `Host` that is none, no link is made: the answer says so."""
    team = TeamConfig(id="leaves", factory="tests.web.test_files:leaves")
    tables = {"server": ServerConfig(public_url=public_url), "teams": (team,)}
    async with keyed(tmp_path, **tables) as (server, owners):
        headers = {"Host": host, "Authorization": f"Bearer {next(iter(owners))}", "X-Forwarded-Host": "evil.example"}
        answer = await ask(server.url, "A picture, please", model="leaves", headers=headers)
    if base:
        assert f"![A picture]({base}/v1/files/file-" in answer.text
    else:
        assert "no pictures here" in answer.text


def get(url: str) -> bytes:
    path = url.removeprefix("http://").partition("/")[2]
    return f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def test_a_client_that_does_not_read_costs_a_piece(tmp_path: Path) -> None:
    """The deadline is so far off that no client is evicted before the last one holds its piece."""
    async with serving(config_with(server=ServerConfig(write_timeout_s=600)), tmp_path) as server:
        left = await leave(server, content=bytes(7 * 1024**2))
        tracemalloc.start()
        try:
            async with AsyncExitStack() as stack:
                for _ in range(5):
                    await stack.enter_async_context(connected(server.url, get(left.url)))
                await until(lambda: [kept_for(each) > 100_000 for each in transports(server)] == [True] * 5)
                assert tracemalloc.get_traced_memory()[0] < 2 * 1024**2
        finally:
            tracemalloc.stop()


async def test_a_client_that_does_not_read_is_evicted(tmp_path: Path) -> None:
    async with serving(config_with(server=ServerConfig(write_timeout_s=0.2)), tmp_path) as server:
        left = await leave(server, content=bytes(7 * 1024**2))
        async with connected(server.url, get(left.url)):
            listening = server.runner.server
            assert isinstance(listening, web.Server)
            await until(lambda: listening.requests_count == 1 and not listening.connections)


async def test_a_slow_reader_gets_it_whole_however_long_that_takes(tmp_path: Path) -> None:
    """Every piece has the time, not the file."""
    content = CONTENT * 5
    async with serving(config_with(server=ServerConfig(write_timeout_s=0.4)), tmp_path) as server:
        left = await leave(server, content=content)
        loop, received, most = asyncio.get_running_loop(), b"", 0
        async with connected(server.url, get(left.url)) as client:
            started_at = time.monotonic()
            while len(received.partition(b"\r\n\r\n")[2]) < len(content):
                piece = await loop.sock_recv(client, 128 * 1024)
                assert piece, "cut off"
                received += piece
                most = max([most, *(each.get_write_buffer_size() for each in transports(server))])
                await asyncio.sleep(0.01)  # the reader is slow
        assert time.monotonic() - started_at > 0.5
    assert received.partition(b"\r\n\r\n")[2] == content
    assert most <= 64 * 1024
