"""Behind nginx and behind Caddy, set up as `configs/` says, over TLS, with HTTP/1.1 and HTTP/2: nothing waits."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiostream_server.config.model import AuthConfig
from tests.kit.scripted_provider import Gate, Pause, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, chat_body, config_for, sample_team, serving, until_idle
from tests.kit.tls import Files, make_files
from tests.kit.waiting import DEADLINE_S
from tests.proxies.front import NAME, PROGRAMS, Front, Program, proxying
from tests.web.test_keys import make_key

pytestmark = pytest.mark.parametrize("program", PROGRAMS)
on_both_versions = pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
SNI = {"sni_hostname": NAME}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("tls"), "server", NAME)


@dataclass(frozen=True, slots=True)
class Scene:
    provider: ScriptedProvider
    server: Server
    front: Front
    client: httpx.AsyncClient

    def asking(self) -> AbstractAsyncContextManager[httpx.Response]:
        return self.client.stream("POST", CHAT, json=chat_body("hi", model="solo"), extensions=SNI)


@asynccontextmanager
async def scene(
    program: Program, http2: bool, folder: Path, files: Files, replaced: dict[str, str] | None = None, **sections: Any
) -> AsyncIterator[Scene]:
    """A server with one key, a proxy in front of it, and a client in front of that."""
    key = make_key(folder / "keys.json", "all")
    async with ScriptedProvider() as provider:
        auth = AuthConfig(keys_file=folder / "keys.json")
        config = config_for(provider.base_url, sample_team("solo"), auth=auth, **sections)
        async with serving(config, folder) as server:
            with proxying(program, [server.url], folder, files, replaced) as front:
                async with front.client(http2=http2, key=key) as client:
                    yield Scene(provider, server, front, client)


@on_both_versions
async def test_every_frame_reaches_the_client_before_the_next_one_is_made(
    tmp_path: Path, files: Files, program: Program, http2: bool
) -> None:
    """The provider sends a token only after the client has received the one before, so anything that buffers would
    hang. The client asks for compression and nginx's `http` block wants it for everything; the answer has none."""
    gates = [Gate() for _ in range(8)]
    steps = [step for number, gate in enumerate(gates) for step in (gate, f"<{number}>")]
    async with scene(program, http2, tmp_path, files) as at:
        at.provider.script(ScriptedAnswer(*steps))
        received, opened = "", 0
        async with at.asking() as response:
            async for piece in response.aiter_raw():
                received += piece.decode()
                while opened < len(gates) and (not opened or f"<{opened - 1}>" in received):
                    gates[opened].open()
                    opened += 1
    assert response.status_code == 200
    assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    assert "gzip" in response.request.headers["Accept-Encoding"]
    assert "Content-Encoding" not in response.headers
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Cache-Control"] == "no-cache, no-transform"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["X-Run-Id"].startswith("run-")
    assert re.findall(r"<\d>", received) == [f"<{number}>" for number in range(8)]
    assert received.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("said", [0, 1], ids=["before the first token", "between tokens"])
@on_both_versions
async def test_stop_reaches_the_provider(
    tmp_path: Path, files: Files, program: Program, http2: bool, said: int
) -> None:
    """The provider would stall for ever: only a closed connection ends its exchange."""
    async with scene(program, http2, tmp_path, files) as at:
        at.provider.script(ScriptedAnswer("a", Stall()) if said else ScriptedAnswer(Stall()))
        async with at.asking() as response:
            exchange = await at.provider.request()
            await exchange.sent(said)
            await anext(response.aiter_raw())
            assert at.server.state.registry.viewers == 1
            if http2:
                await _reset(response)
        async with asyncio.timeout(DEADLINE_S):
            await exchange.closed.wait()
        await until_idle(at.server)


async def _reset(response: httpx.Response) -> None:
    """As browsers stop one stream of several on a connection; httpx only stops reading it.
    https://www.rfc-editor.org/rfc/rfc9113#section-6.4"""
    stream: int = response.extensions["stream_id"]
    frame = b"\0\0\x04\x03\0" + stream.to_bytes(4, "big") + (8).to_bytes(4, "big")
    await response.extensions["network_stream"].write(frame)


@on_both_versions
async def test_a_body_of_30_mib_passes_and_its_error_is_the_servers_own(
    tmp_path: Path, files: Files, program: Program, http2: bool
) -> None:
    """The model's name stands behind all of it."""
    messages = [{"role": "user", "content": "x" * (30 * 1024**2)}]
    body = json.dumps({"messages": messages, "model": "nobody"}).encode()
    async with scene(program, http2, tmp_path, files) as at:
        answer = await at.client.post(CHAT, content=body, headers={"Content-Type": "application/json"}, extensions=SNI)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "nobody" in answer.json()["error"]["message"]


@on_both_versions
async def test_a_body_that_is_too_large_is_a_413_in_the_usual_shape(
    tmp_path: Path, files: Files, program: Program, http2: bool
) -> None:
    if http2:
        pytest.skip("httpx does not hear an answer that comes before its body is sent")
    async with scene(program, http2, tmp_path, files) as at:
        headers = {"Content-Type": "application/json"}
        answer = await at.client.post(CHAT, content=b"x" * (33 * 1024**2), headers=headers, extensions=SNI)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


@on_both_versions
async def test_a_client_that_comes_back_sees_exactly_the_rest(
    tmp_path: Path, files: Files, program: Program, http2: bool
) -> None:
    async with scene(program, http2, tmp_path, files) as at:
        at.provider.script(ScriptedAnswer(*[f"<{number}>" for number in range(8)], pause_s=0.05))
        first = ""
        body = chat_body("hi", model="solo")
        async with at.client.stream("POST", "/v1/runs", json=body, extensions=SNI) as response:
            run_id = response.headers["X-Run-Id"]
            async for piece in response.aiter_text():
                first += piece
                if "<2>" in first:
                    break
        seen = [event for event in first.split("\n\n")[:-1] if "id: " in event]
        last = re.findall(r"^id: (\d+)$", seen[-1], re.MULTILINE)[0]
        headers = {"Last-Event-ID": last}
        async with at.client.stream("GET", f"/v1/runs/{run_id}/events", headers=headers, extensions=SNI) as response:
            rest = (await response.aread()).decode()
    numbers = [int(number) for number in re.findall(r"^id: (\d+)$", "\n".join(seen) + "\n" + rest, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "event: run_finished" in rest


@on_both_versions
async def test_the_servers_errors_pass_as_they_are(tmp_path: Path, files: Files, program: Program, http2: bool) -> None:
    async with scene(program, http2, tmp_path, files) as at:
        wrong = {"Authorization": "Bearer wrong"}
        refused = await at.client.get("/v1/models", headers=wrong, extensions=SNI)
        unknown = await at.client.get("/v1/nothing", extensions=SNI)
        named = await at.client.get("/v1/models", headers={"X-Request-ID": "mine-1"}, extensions=SNI)
        hidden = [await at.client.get(path, extensions=SNI) for path in ("/metrics", "/api/metrics")]
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    assert named.status_code == 200
    assert named.headers["X-Request-ID"] == "mine-1"
    for answer in hidden:
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert answer.headers["Content-Type"] == "application/json"


@on_both_versions
async def test_a_server_without_keys_refuses_everything_behind_a_proxy(
    tmp_path: Path, files: Files, program: Program, http2: bool
) -> None:
    """Not even by a local name, which a proxy may be made to ask by."""
    async with ScriptedProvider() as provider, serving(config_for(provider.base_url), tmp_path) as server:
        with proxying(program, [server.url], tmp_path, files, _by_local_name(program)) as front:
            async with front.client(http2=http2) as client:
                answers = [
                    await client.get("/v1/models", extensions=SNI),
                    await client.post(CHAT, json=chat_body("hi"), extensions=SNI),
                ]
    for answer in answers:
        assert answer.status_code == 403
        assert "aiostream-server keys create" in answer.json()["error"]["message"]


def _by_local_name(program: Program) -> dict[str, str]:
    if program == "nginx":
        return {"proxy_set_header Host $host;": "proxy_set_header Host 127.0.0.1:8000;"}
    return {"lb_try_duration 2s": "lb_try_duration 2s\n\t\theader_up Host 127.0.0.1:8000\n\t\t"}


@pytest.mark.parametrize(("heartbeat_s", "survives"), [(0.3, True), (60.0, False)], ids=["with", "without"])
async def test_heartbeats_keep_a_silent_stream_alive(
    tmp_path: Path, files: Files, program: Program, heartbeat_s: float, survives: bool
) -> None:
    """Past what nginx waits for an answer, in both versions of HTTP at once; Caddy waits for ever."""
    if program == "caddy":
        pytest.skip("Caddy does not time streams that are silent")
    times = {"proxy_read_timeout 660s;": "proxy_read_timeout 2s;"}
    async with (
        scene(program, False, tmp_path, files, times, server={"heartbeat_s": heartbeat_s}) as at,
        at.front.client(http2=True) as other,
    ):
        other.headers["Authorization"] = at.client.headers["Authorization"]
        at.provider.script(*[ScriptedAnswer("a", Pause(3.2), "b")] * 2)
        heard = await asyncio.gather(_hear(at.client, survives), _hear(other, survives))
    assert [version for version, _ in heard] == ["HTTP/1.1", "HTTP/2"]
    assert [received.endswith("data: [DONE]\n\n") for _, received in heard] == [survives] * 2


async def _hear(client: httpx.AsyncClient, survives: bool) -> tuple[str, str]:
    """The version of HTTP, and what came."""
    received = ""
    try:
        async with client.stream("POST", CHAT, json=chat_body("hi", model="solo"), extensions=SNI) as response:
            async for piece in response.aiter_text():
                received += piece
    except httpx.TransportError:
        assert not survives
    return response.http_version, received
