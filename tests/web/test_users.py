"""Users behind one key, over HTTP: each has runs of its own, which do not exist for the others."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt
import pytest
import structlog
from structlog.testing import capture_logs

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.kit.serving import chat_body, config_for, sample_team, serving
from tests.web.bare_client import until
from tests.web.raw import HELLO, head, post, send

SECRET: Final = "a secret of more than thirty-two bytes"
NO_PROVIDER: Final = "http://127.0.0.1:9"
"""Where no model is: the sample team here needs none."""


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """A caller, and the owner of its runs. Key `trusted` and key `other` are believed about users; `script` is not."""

    key: str
    owner: str
    headers: Mapping[str, str]


CALLERS: Final = (
    Caller("trusted", "trusted", {}),
    Caller("trusted", "trusted alice", {"X-User-ID": "alice"}),
    Caller("trusted", "trusted alice", {"X-OpenWebUI-User-Id": "alice", "X-OpenWebUI-User-Name": "A%20B"}),
    Caller("trusted", "trusted bob", {"X-OpenWebUI-User-Id": "bob"}),
    Caller("trusted", "trusted Alice", {"X-User-ID": "Alice"}),
    Caller("trusted", "trusted %61lice", {"X-OpenWebUI-User-Id": "%61lice"}),
    Caller("other", "other", {}),
    Caller("other", "other alice", {"X-User-ID": "alice"}),
    Caller("script", "script", {}),
    Caller("script", "script", {"X-User-ID": "alice", "X-OpenWebUI-User-Id": "bob", "X-OpenWebUI-User-Jwt": "a.b.c"}),
    Caller("script", "script", {"X-User-ID": "{{USER_ID}}"}),
)
ENDPOINTS: Final = (("GET", ""), ("GET", "/events"), ("POST", "/cancel"))


class Session:
    """One caller's connection."""

    def __init__(self, session: aiohttp.ClientSession, key: str, headers: Mapping[str, str]) -> None:
        self._session = session
        self._headers = {"Authorization": f"Bearer {key}", **headers}

    async def start(self, **headers: str) -> str:
        body = chat_body("hi", model="hanging", background=True)
        async with self._session.post("/v1/runs", json=body, headers={**self._headers, **headers}) as response:
            assert response.status == 202, await response.text()
            return response.headers["X-Run-Id"]

    async def call(self, method: str, path: str) -> tuple[int, Any]:
        """Status and, but for a stream, JSON."""
        async with self._session.request(method, path, headers=self._headers) as response:
            is_json = response.content_type == "application/json"
            return response.status, await response.json() if is_json else None

    async def runs(self) -> set[str]:
        status, body = await self.call("GET", "/v1/runs")
        assert status == 200
        return {run["id"] for run in body["data"]}


def make_keys(folder: Path) -> tuple[AuthConfig, dict[str, str]]:
    file, texts = folder / "keys.json", {}
    for name in ("trusted", "other", "script"):
        key, text = new_key(name, trust_user_headers=name != "script")
        add_key(file, key)
        texts[name] = text.get_secret_value()
    return AuthConfig(keys_file=file), texts


@asynccontextmanager
async def calling(folder: Path) -> AsyncIterator[dict[Caller, Session]]:
    """A server with a team that hangs, and all its callers."""
    auth, keys = make_keys(folder)
    config = config_for(NO_PROVIDER, sample_team("hanging"), auth=auth)
    async with serving(config, folder) as server, aiohttp.ClientSession(server.url) as session:
        yield {caller: Session(session, keys[caller.key], caller.headers) for caller in CALLERS}


async def test_a_run_exists_for_its_owner_only(tmp_path: Path) -> None:
    """Every caller, run and endpoint: the owner is served; for the others the run does not exist."""
    async with calling(tmp_path) as sessions:
        runs = {caller: await session.start() for caller, session in sessions.items()}
        unknown = {
            path: (await sessions[CALLERS[0]].call(method, f"/v1/runs/nothing{path}")) for method, path in ENDPOINTS
        }
        for viewer, session in sessions.items():
            own = {run for caller, run in runs.items() if caller.owner == viewer.owner}
            assert await session.runs() == own
            for run in runs.values():
                for method, path in ENDPOINTS[:2] if run in own else ENDPOINTS:
                    status, body = await session.call(method, f"/v1/runs/{run}{path}")
                    expected = 200 if run in own else 404
                    assert status == expected, (viewer, method, path)
                    if status == 404:
                        shown = json.loads(json.dumps(body).replace(run, "nothing"))
                        assert (status, shown) == unknown[path]
        for caller, session in sessions.items():  # the others' attempts to cancel had no effect
            status, run_body = await session.call("GET", f"/v1/runs/{runs[caller]}")
            assert (status, run_body["status"]) == (200, "running")
            status, run_body = await session.call("POST", f"/v1/runs/{runs[caller]}/cancel")
            assert (status, run_body["reason"]) == (200, "cancelled")


async def test_an_idempotency_key_finds_the_users_own_run_only(tmp_path: Path) -> None:
    async with calling(tmp_path) as sessions:
        started = {
            caller: await session.start(**{"Idempotency-Key": "same-for-all"}) for caller, session in sessions.items()
        }
        owners = {run: {caller.owner for caller in CALLERS if started[caller] == run} for run in started.values()}
        assert sorted(map(len, owners.values())) == [1] * len({caller.owner for caller in CALLERS})


def token(**claims: Any) -> str:
    made = {"sub": "alice", "iss": "open-webui", "exp": int(time.time()) + 300, **claims}
    return jwt.encode(made, SECRET, algorithm="HS256")


@asynccontextmanager
async def demo_server(folder: Path, toml: str = "", **environ: str) -> AsyncIterator[tuple[str, dict[str, str]]]:
    auth, keys = make_keys(folder)
    (folder / "server.toml").write_text(toml, "utf-8")
    config = load_config(folder / "server.toml", environ).model_copy(update={"auth": auth})
    async with serving(config, folder) as server:
        yield server.url, keys


async def test_a_signed_token_names_the_user_whatever_the_key(tmp_path: Path) -> None:
    toml = '[open_webui]\nuser_token_secret_env = "WEBUI_SECRET"'
    async with demo_server(tmp_path, toml, WEBUI_SECRET=SECRET) as (url, keys), aiohttp.ClientSession(url) as session:

        def asking(key: str, **headers: str) -> Session:
            return Session(session, keys[key], {name.replace("_", "-"): value for name, value in headers.items()})

        async with session.post(
            "/v1/runs",
            json=chat_body("What is 2+3?", model="general", background=True),
            headers={"X-API-Key": keys["script"], "X-OpenWebUI-User-Jwt": token()},
        ) as response:
            run = response.headers["X-Run-Id"]
        for key in ("script", "trusted"):
            expected = {run} if key == "script" else set()
            assert await asking(key, X_OpenWebUI_User_Jwt=token(name="Alice B")).runs() == expected
            assert await asking(key, X_OpenWebUI_User_Jwt=token(sub="bob")).runs() == set()
            assert await asking(key).runs() == set()
        assert await asking("script", X_OpenWebUI_User_Id="alice").runs() == set()
        async with session.get(
            "/v1/runs", headers={"X-API-Key": keys["trusted"], "X-OpenWebUI-User-Id": "alice"}
        ) as response:
            assert response.status == 401


@pytest.mark.parametrize(
    "request_line", ["GET /v1/models", "GET /v1/runs", "GET /v1/runs/x/events", "GET /v1/models/x"]
)
async def test_an_invalid_token_is_401_on_every_route_and_never_repeated(tmp_path: Path, request_line: str) -> None:
    toml = '[open_webui]\nuser_token_secret_env = "WEBUI_SECRET"'
    async with demo_server(tmp_path, toml, WEBUI_SECRET=SECRET) as (url, keys):
        for sent, words in (
            (token(exp=1), "has expired"),
            (token()[:-9] + "A" * 9, "another secret"),
            ("x", "no token"),
        ):
            headers = (f"Authorization: Bearer {keys['trusted']}", f"X-OpenWebUI-User-Jwt: {sent}")
            answer = await send(url, head(f"{request_line} HTTP/1.1", *headers))
            assert answer.status == 401
            assert words in answer.error["message"]
            assert sent.encode() not in answer.body or sent == "x"
        answer = await send(url, head(f"{request_line} HTTP/1.1", f"X-OpenWebUI-User-Jwt: {token()}"))
        assert "an API key is needed" in answer.error["message"]


async def test_headers_that_do_not_name_one_user_are_400_before_the_body_is_read(tmp_path: Path) -> None:
    async with demo_server(tmp_path) as (url, keys):
        wrong = [
            ("X-User-ID: alice", "x-user-id: bob"),
            ("X-User-ID: alice", "X-OpenWebUI-User-Id: bob"),
            ("X-OpenWebUI-User-Role: user", "X-OpenWebUI-User-Role: admin"),
            ("X-User-ID: {{USER_ID}}",),
            (f"X-User-ID: {'a' * 256}",),
            ("X-User-ID: \udcff",),
        ]
        for headers in wrong:
            trusted = await send(url, post(b"{", f"X-API-Key: {keys['trusted']}", *headers))
            assert trusted.status == 400
            assert "X-" in trusted.error["message"]
            ignored = await send(url, post(HELLO, f"X-API-Key: {keys['script']}", *headers))
            assert ignored.status == 200


async def test_log_lines_name_the_key_and_the_user_of_their_request_only(tmp_path: Path) -> None:
    """Also those of the run, which outlives its request; and the next request on the connection starts afresh."""
    connector = aiohttp.TCPConnector(limit=1)
    async with (
        demo_server(tmp_path) as (url, keys),
        aiohttp.ClientSession(url, connector=connector) as session,
    ):
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            for key, user in (("trusted", "alice"), ("trusted", None), ("script", "alice"), ("other", "bob b")):
                headers = {"X-API-Key": keys[key], **({"X-User-ID": user} if user else {})}
                body = chat_body("What is 2+3?", model="general")
                async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
                    await response.read()
            await until(lambda: sum(line["event"] == "run_finished" for line in lines) == 4)
        ids = {name: text[4:12] for name, text in keys.items()}
        finished = [(line.get("key"), line.get("user")) for line in lines if line["event"] == "run_finished"]
        assert finished == [
            (ids["trusted"], "alice"),
            (ids["trusted"], None),
            (ids["script"], None),
            (ids["other"], "bob b"),
        ]
