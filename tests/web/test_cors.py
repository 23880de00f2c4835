"""Pages of allowed origins may call from a browser; all others stay outside, with keys and without."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig
from tests.kit.serving import Server, config_for, sample_team, serving
from tests.web.raw import HELLO, RawAnswer, head, post, send
from tests.web.test_keys import make_key
from tests.web.watching import start_in_background

PAGE: Final = "https://chat.example.com"
STRANGER: Final = "https://evil.example"
BASES: Final = ("/v1/", "/v1//", "/api/v1/", "/api/v1//")
ROUTES: Final = (
    ("chat/completions", "POST", "POST"),
    ("models", "GET", "GET, HEAD"),
    ("models/auto", "GET", "GET, HEAD"),
    ("runs", "POST", "GET, HEAD, POST"),
    ("runs/x", "GET", "GET, HEAD"),
    ("runs/x/events", "GET", "GET"),
    ("runs/x/cancel", "POST", "POST"),
)
OURS: Final = (
    "Authorization", "Content-Type", "X-API-Key", "X-User-ID", "X-Conversation-Id", "X-Presentation",
    "Idempotency-Key", "Last-Event-ID", "X-Request-ID",
)  # fmt: skip


@asynccontextmanager
async def allowing(
    tmp_path: Path, *origins: str, keyed: bool = True, **server: Any
) -> AsyncIterator[tuple[Server, str]]:
    """A server that allows these origins, and its key; without `keyed`, a server without keys and any text."""
    auth, key = AuthConfig(), "anything"
    if keyed:
        key = make_key(tmp_path / "keys.json", "page")
        auth = AuthConfig(keys_file=tmp_path / "keys.json")
    config = load_config(None, {})
    settings = config.server.model_copy(update={"cors_origins": origins, **server})
    config = config.model_copy(update={"auth": auth, "server": settings})
    async with serving(config, tmp_path) as running:
        yield running, key


def preflight(path: str, method: str, *headers: str, origin: str = PAGE) -> bytes:
    asked = f"Access-Control-Request-Method: {method}"
    return head(f"OPTIONS {path} HTTP/1.1", f"Origin: {origin}", asked, *headers)


def cors_headers(answer: RawAnswer) -> set[str]:
    return {name.lower() for name in answer.headers if name.lower().startswith("access-control-")}


def names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",")]


def assert_told_nothing(answer: RawAnswer) -> None:
    """Which keeps a browser from showing the answer to the page; caches keep it from those that may see it."""
    assert not cors_headers(answer)
    assert answer.headers["Vary"] == "Origin"


class TestOff:
    async def test_nothing_is_said_of_origins(self, tmp_path: Path) -> None:
        async with allowing(tmp_path) as (server, key):
            for request in (
                preflight("/v1/models", "GET"),
                head("GET /v1/models HTTP/1.1", f"Origin: {PAGE}", f"X-API-Key: {key}"),
                post(HELLO, f"Origin: {PAGE}", f"X-API-Key: {key}"),
                head("GET /healthz HTTP/1.1", f"Origin: {PAGE}"),
            ):
                answer = await send(server.url, request)
                assert not cors_headers(answer)
                assert "Vary" not in answer.headers
                assert answer.status == (405 if request.startswith(b"OPTIONS") else 200)


class TestPreflight:
    async def test_every_route_is_allowed_without_a_key(self, tmp_path: Path) -> None:
        async with allowing(tmp_path, PAGE) as (server, _):
            for base in BASES:
                for path, method, methods in ROUTES:
                    asked = "Access-Control-Request-Headers: authorization,content-type"
                    answer = await send(server.url, preflight(base + path, method, asked))
                    assert (answer.status, answer.body) == (204, b"")
                    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
                    assert answer.headers["Access-Control-Allow-Methods"] == methods
                    assert answer.headers["Access-Control-Max-Age"] == "7200"
                    assert answer.headers["Vary"] == "Origin"
                    assert answer.headers["X-Request-ID"].startswith("req-")
                    assert "Access-Control-Allow-Credentials" not in answer.headers
                    assert "Access-Control-Allow-Private-Network" not in answer.headers

    async def test_a_page_may_send_what_any_client_may(self, tmp_path: Path) -> None:
        """Such as the openai package in a browser, which adds headers of its own."""
        async with allowing(tmp_path, PAGE) as (server, _):
            bare = await send(server.url, preflight("/v1/models", "GET"))
            assert names(bare.headers["Access-Control-Allow-Headers"]) == list(OURS)
            asked = "Access-Control-Request-Headers: authorization, x-stainless-arch,x-stainless-os"
            answer = await send(server.url, preflight("/v1/models", "GET", asked))
            allowed = {name.lower() for name in names(answer.headers["Access-Control-Allow-Headers"])}
            assert allowed == {name.lower() for name in OURS} | {"x-stainless-arch", "x-stainless-os"}

    async def test_what_names_no_header_is_not_repeated(self, tmp_path: Path) -> None:
        async with allowing(tmp_path, PAGE) as (server, _):
            for asked in ("a b", "a,,b", ",", "a\u00e9", "a: b", "<script>", "a;b", '"a"', ""):
                header = f"Access-Control-Request-Headers: {asked}"
                answer = await send(server.url, preflight("/v1/models", "GET", header))
                assert answer.status == 204
                assert names(answer.headers["Access-Control-Allow-Headers"]) == list(OURS)

    async def test_chrome_is_told_that_a_private_address_is_meant(self, tmp_path: Path) -> None:
        async with allowing(tmp_path, PAGE, keyed=False) as (server, _):
            private = "Access-Control-Request-Private-Network: true"
            answer = await send(server.url, preflight("/v1/models", "GET", private))
            assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
            answer = await send(server.url, preflight("/v1/models", "GET", private, origin=STRANGER))
            assert_told_nothing(answer)

    async def test_another_origin_is_told_nothing(self, tmp_path: Path) -> None:
        """As browsers send origins, letter by letter: only one is this one."""
        others = (
            STRANGER, "null", "", "*", f"{PAGE}/", f"{PAGE}:443", f"{PAGE}:8443", f"{PAGE}.evil.example",
            "http://chat.example.com", "https://CHAT.example.com", f"{PAGE}, {PAGE}",
        )  # fmt: skip
        async with allowing(tmp_path, PAGE) as (server, key):
            for origin in others:
                answer = await send(server.url, preflight("/v1/chat/completions", "POST", origin=origin))
                assert answer.status == 405
                assert_told_nothing(answer)
                own = (f"Origin: {origin}", f"X-API-Key: {key}")
                assert_told_nothing(await send(server.url, head("GET /v1/models HTTP/1.1", *own)))

    async def test_what_is_no_preflight_or_no_route_is_answered_as_ever(self, tmp_path: Path) -> None:
        async with allowing(tmp_path, PAGE) as (server, _):
            plain = await send(server.url, head("OPTIONS /v1/models HTTP/1.1", f"Origin: {PAGE}"))
            assert (plain.status, plain.headers["Allow"]) == (405, "GET,HEAD")
            unknown = await send(server.url, preflight("/v1/nothing", "GET"))
            assert unknown.status == 404
            for answer in (plain, unknown):
                assert answer.headers["Access-Control-Allow-Origin"] == PAGE

    async def test_origins_may_be_written_as_people_do(self, tmp_path: Path) -> None:
        sent = {
            "https://Chat.Example.com": PAGE,
            "https://a.example:443": "https://a.example",
            "http://b.example:80": "http://b.example",
            "http://c.example:443": "http://c.example:443",
            "https://d.example:80": "https://d.example:80",
            "http://localhost:8080": "http://localhost:8080",
            "http://[::1]:80": "http://[::1]",
            "http://[::1]:3000": "http://[::1]:3000",
        }
        async with allowing(tmp_path, *sent) as (server, _):
            for configured, origin in sent.items():
                answer = await send(server.url, preflight("/v1/models", "GET", origin=origin))
                assert answer.headers["Access-Control-Allow-Origin"] == origin
                if configured != origin:
                    assert_told_nothing(await send(server.url, preflight("/v1/models", "GET", origin=configured)))


class TestAnswers:
    async def test_they_are_for_the_page_that_asked_errors_and_streams_too(self, tmp_path: Path) -> None:
        async with allowing(tmp_path, PAGE, body_timeout_s=0.1) as (server, key):
            origin, auth = f"Origin: {PAGE}", f"Authorization: Bearer {key}"
            stream = HELLO.replace(b"{", b'{"stream":true,', 1)
            cases = [
                (head("GET /v1/models HTTP/1.1", origin, auth), 200),
                (head("HEAD /v1/models HTTP/1.1", origin, auth), 200),
                (post(HELLO, origin, auth), 200),
                (post(stream, origin, auth), 200),
                (post(HELLO, origin, auth, path="/v1/runs"), 200),
                (head("GET /v1/models HTTP/1.1", origin), 401),
                (head("GET /v1/runs/x HTTP/1.1", origin, auth), 404),
                (head("GET /v1/nothing HTTP/1.1", origin, auth), 404),
                (head("PUT /v1/models HTTP/1.1", origin, auth), 405),
                (post(b"{", origin, auth), 400),
                (post(HELLO, origin, auth, content_type="text/plain"), 415),
                (
                    head("POST /v1/runs HTTP/1.1", origin, auth, "Content-Type: application/json", "Content-Length: 9"),
                    408,
                ),
            ]
            for request, status in cases:
                answer = await send(server.url, request)
                assert answer.status == status
                assert answer.headers["Access-Control-Allow-Origin"] == PAGE
                assert answer.headers["Vary"] == "Origin"
                assert names(answer.headers["Access-Control-Expose-Headers"]) == [
                    "X-Run-Id", "X-Request-ID", "Retry-After", "x-should-retry", "Location", "Idempotent-Replayed",
                    "Mcp-Session-Id", "x-vercel-ai-ui-message-stream"
                ]  # fmt: skip
                assert "Access-Control-Allow-Credentials" not in answer.headers

    async def test_other_clients_see_only_that_answers_differ_by_origin(self, tmp_path: Path) -> None:
        async with allowing(tmp_path, PAGE) as (server, key):
            assert_told_nothing(await send(server.url, head("GET /v1/models HTTP/1.1", f"X-API-Key: {key}")))
            assert_told_nothing(await send(server.url, post(HELLO, f"X-API-Key: {key}")))


class TestDirectConnection:
    """Open WebUI's "direct connections": its page calls the server itself, as 0.6.36 and 0.12.4 do in a browser."""

    @pytest.mark.parametrize("keyed", [True, False])
    async def test_its_page_lists_models_and_asks(self, tmp_path: Path, keyed: bool) -> None:
        async with allowing(tmp_path, PAGE, keyed=keyed) as (server, key):
            headers = (f"Origin: {PAGE}", f"Authorization: Bearer {key}", "Sec-Fetch-Mode: cors")
            asked = "Access-Control-Request-Headers: authorization,content-type"
            for path, method, request in (
                ("/v1/models", "GET", head("GET /v1/models HTTP/1.1", "Content-Type: application/json", *headers)),
                ("/v1/chat/completions", "POST", post(HELLO.replace(b"{", b'{"stream":true,', 1), *headers)),
            ):
                permission = await send(server.url, preflight(path, method, asked))
                assert permission.status == 204
                assert method in names(permission.headers["Access-Control-Allow-Methods"])
                assert {"authorization", "content-type"} <= set(
                    names(permission.headers["Access-Control-Allow-Headers"].lower())
                )
                answer = await send(server.url, request)
                assert answer.status == 200
                assert answer.headers["Access-Control-Allow-Origin"] == PAGE


class TestWithoutKeys:
    """No key keeps pages out there: what does must hold on when some are let in."""

    async def test_a_simple_request_of_an_allowed_page_is_answered(self, tmp_path: Path) -> None:
        async with allowing(tmp_path, PAGE, keyed=False) as (server, _):
            answer = await send(server.url, head("GET /v1/models HTTP/1.1", f"Origin: {PAGE}"))
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, PAGE)

    async def test_a_stranger_cannot_ask(self, tmp_path: Path) -> None:
        """What it can send without a preflight is refused; the preflight is, too."""
        async with allowing(tmp_path, PAGE, keyed=False) as (server, _):
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                for path in ("/v1/chat/completions", "/v1/runs"):
                    answer = await send(server.url, post(HELLO, f"Origin: {STRANGER}", path=path, content_type=kind))
                    assert answer.status == 415
                    assert_told_nothing(answer)
            assert_told_nothing(await send(server.url, preflight("/v1/runs", "POST", origin=STRANGER)))

    async def test_another_host_name_is_forbidden_whatever_the_origin(self, tmp_path: Path) -> None:
        """DNS rebinding: the page's own name points here, and it says so in `Host`."""
        async with allowing(tmp_path, PAGE, keyed=False) as (server, _):
            for origin in (PAGE, "http://evil.example:8000"):
                request = head("GET /v1/models HTTP/1.1", f"Origin: {origin}")
                answer = await send(server.url, request.replace(b"Host: localhost", b"Host: evil.example:8000"))
                assert answer.status == 403

    async def test_an_allowed_page_may_cancel_and_a_stranger_may_not(self, tmp_path: Path) -> None:
        config = config_for("http://127.0.0.1:9", sample_team("hanging"))
        server_config = config.server.model_copy(update={"cors_origins": (PAGE,)})
        async with serving(config.model_copy(update={"server": server_config}), tmp_path) as server:
            run = await start_in_background(server.url, "hi", model="hanging")
            cancel = f"POST /v1/runs/{run['id']}/cancel HTTP/1.1"
            assert (await send(server.url, head(cancel, f"Origin: {STRANGER}"))).status == 415
            assert len(server.state.registry) == 1
            answer = await send(server.url, head(cancel, f"Origin: {PAGE}"))
            assert answer.status == 200
            assert b'"cancelled"' in answer.body
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
