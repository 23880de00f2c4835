"""Keys over HTTP: which requests are answered, with which models; no answer ever repeats a key."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.kit.process import serving_process
from tests.kit.serving import Server, asking, serving
from tests.web.raw import HELLO, head, post, send

DATA_QUESTION = "Which region had the highest total sales?"
MODELS = "GET /v1/models HTTP/1.1"
OPEN_ROUTES = ("/healthz", "/readyz", "/openapi.json")


def make_key(file: Path, name: str, models: Iterable[str] | None = None) -> str:
    key, text = new_key(name, models=models)
    add_key(file, key)
    return text.get_secret_value()


@asynccontextmanager
async def keyed(tmp_path: Path, **keys: Iterable[str] | None) -> AsyncIterator[tuple[Server, dict[str, str]]]:
    """A server with keys of these names and models."""
    file = tmp_path / "keys.json"
    texts = {name: make_key(file, name, models) for name, models in keys.items()}
    config = load_config(None, {}).model_copy(update={"auth": AuthConfig(keys_file=file)})
    async with serving(config, tmp_path) as server:
        yield server, texts


def client_of(server: Server, key: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


async def test_no_key_and_a_wrong_one_are_401_on_every_route_that_tells_something(tmp_path: Path) -> None:
    async with keyed(tmp_path, all=None) as (server, keys):
        right = keys["all"]
        wrong = [
            (),
            ("Authorization: Bearer",),
            ("Authorization: Bearer ",),
            ("Authorization: Basic dTpw",),
            (f"Authorization: {right}",),
            (f"Authorization: Bearer {right}x",),
            (f"Authorization: Bearer {right[:-1]}",),
            (f"Authorization: Bearer {right.upper()}",),
            (f"X-API-Key: {right[:12]}-{'A' * 43}",),
            ("X-API-Key: \udcff\udcfe",),
            (f"Cookie: key={right}",),
        ]
        for headers in wrong:
            for request in (
                head(MODELS, *headers),
                head("GET /v1/models/auto HTTP/1.1", *headers),
                post(HELLO, *headers),
            ):
                answer = await send(server.url, request)
                assert answer.status == 401, headers
                assert answer.error["code"] == "invalid_api_key"
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert right[13:] not in answer.error["message"]
        for path in OPEN_ROUTES:
            assert (await send(server.url, head(f"GET {path} HTTP/1.1"))).status == 200


async def test_a_wrong_key_is_refused_before_the_body_is_looked_at(tmp_path: Path) -> None:
    async with keyed(tmp_path, all=None) as (server, _):
        assert (await send(server.url, post(b"{", content_type="text/plain"))).status == 401


async def test_the_right_key_works_by_both_headers(tmp_path: Path) -> None:
    async with keyed(tmp_path, all=None) as (server, keys):
        for header in (
            f"Authorization: Bearer {keys['all']}",
            f"authorization: bearer {keys['all']}",
            f"X-API-Key: {keys['all']}",
        ):
            assert (await send(server.url, head(MODELS, header))).status == 200
            assert (await send(server.url, post(HELLO, header))).status == 200


async def test_two_different_keys_are_400(tmp_path: Path) -> None:
    async with keyed(tmp_path, one=None, two=None) as (server, keys):
        headers = (f"Authorization: Bearer {keys['one']}", f"X-API-Key: {keys['two']}")
        answer = await send(server.url, head(MODELS, *headers))
        assert answer.status == 400
        answer = await send(server.url, head(MODELS, *(f"X-API-Key: {key}" for key in keys.values())))
        assert answer.status == 400


async def test_a_key_sees_the_models_that_it_names_and_no_sign_of_others(tmp_path: Path) -> None:
    async with keyed(tmp_path, one=["general"]) as (server, keys), client_of(server, keys["one"]) as client:
        assert [model.id async for model in client.models.list()] == ["general"]
        assert (await client.models.retrieve("general")).id == "general"
        messages = []
        for model in ("data", "auto", "autogen-agents", "nothing"):
            with pytest.raises(openai.NotFoundError) as found:
                await client.models.retrieve(model)
            with pytest.raises(openai.NotFoundError) as asked:
                await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
            assert found.value.body == asked.value.body
            messages.append(str(asked.value).replace(model, "MODEL"))
        assert len(set(messages)) == 1  # one that exists is told from one that does not by nothing
        assert "there are: general" in messages[0]
        answer = await client.chat.completions.create(model="general", messages=[{"role": "user", "content": "2+3?"}])
        assert answer.choices


async def test_the_openai_package_gets_an_authentication_error(tmp_path: Path) -> None:
    async with keyed(tmp_path, all=None) as (server, _), client_of(server, "sk-wrong") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.models.list()
        assert caught.value.code == "invalid_api_key"
        assert "sk-wrong" not in str(caught.value)


@pytest.mark.parametrize("name", ["auto", "autogen-agents"])
async def test_auto_goes_only_to_teams_that_the_key_names(tmp_path: Path, name: str) -> None:
    """By both of its names, in the key and in the request."""
    async with keyed(tmp_path, some=[name, "general"], router=[name]) as (server, keys):
        for asked in ("auto", "autogen-agents"):
            async with client_of(server, keys["some"]) as client:
                assert [model.id async for model in client.models.list()] == ["auto", "general"]
                some = await client.chat.completions.create(
                    model=asked, messages=[{"role": "user", "content": DATA_QUESTION}]
                )
            async with client_of(server, keys["router"]) as client:
                router = await client.chat.completions.create(
                    model=asked, messages=[{"role": "user", "content": DATA_QUESTION}]
                )
            assert "SQLAgent" not in (some.choices[0].message.content or "")
            assert "SQLAgent" in (router.choices[0].message.content or "")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_key_for_teams_that_are_all_gone_is_refused_before_the_stream(tmp_path: Path, stream: bool) -> None:
    async with keyed(tmp_path, old=["auto", "gone"]) as (server, keys), client_of(server, keys["old"]) as client:
        with pytest.raises(openai.PermissionDeniedError, match="may not use any"):
            await client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "hi"}], stream=stream
            )


async def test_a_key_without_models_sees_none(tmp_path: Path) -> None:
    async with keyed(tmp_path, none=[]) as (server, keys), client_of(server, keys["none"]) as client:
        assert [model.id async for model in client.models.list()] == []
        with pytest.raises(openai.NotFoundError, match="there are: none for this key"):
            await client.models.retrieve("auto")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "10.0.0.1", "localhost@evil"]
)
async def test_without_keys_a_foreign_host_is_403(tmp_path: Path, host: str) -> None:
    """A web page with a name that points here (DNS rebinding) reads nothing."""
    async with serving(load_config(None, {}), tmp_path) as server:
        for request in (head(MODELS), post(), head("GET /v1/models/auto HTTP/1.1")):
            answer = await send(server.url, request.replace(b"Host: localhost", b"Host: " + host.encode()))
            assert answer.status == 403
            assert answer.error["code"] == "forbidden"


async def test_with_keys_any_host_is_answered(tmp_path: Path) -> None:
    async with keyed(tmp_path, all=None) as (server, keys):
        request = head(MODELS, f"X-API-Key: {keys['all']}").replace(b"Host: localhost", b"Host: ai.example.com")
        assert (await send(server.url, request)).status == 200


async def test_without_keys_whatever_key_a_client_sends_is_ignored(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server, client_of(server, "whatever") as client:
        assert [model.id async for model in client.models.list()] == ["auto", "general", "data"]


async def test_no_key_stands_in_any_log_line_or_body(tmp_path: Path) -> None:
    """The real process, at debug level, with right keys, wrong ones, and requests that fail in every way."""
    right = make_key(tmp_path / "keys.json", "canary")
    secret, wrong = right[13:], "sk-canary-c4ca4238a0b923820dcc509a6f75849b"
    config = """
        [server]
        port = 0
        log_format = "json"
        log_level = "debug"
        [auth]
        keys_file = "keys.json"
        [models.default]
        provider = "demo"
    """
    bodies: list[str] = []
    async with serving_process(config, tmp_path) as server:
        for header in (f"Authorization: Bearer {right}", f"X-API-Key: {wrong}"):
            requests = (
                post(HELLO, header),
                post(HELLO.replace(b"general", b"nothing"), header),
                post(b"{", header),
                head(MODELS, header),
                head("GET /nope HTTP/1.1", header),
            )
            bodies += [(await send(server.url, request)).body.decode() for request in requests]
            await send(server.url, head(MODELS, f"{header}\0"))  # no HTTP: its bytes are told to their sender alone
        async with asking(server.url, "hi", headers={"X-API-Key": right}) as answer:
            bodies.append(await answer.response.text())
        server.process.terminate()
        assert await server.end() == 0
    assert server.named("run_finished")
    log = "\n".join(server.lines)
    assert secret not in log
    assert wrong not in log
    assert not any(secret in body or wrong in body for body in bodies)
