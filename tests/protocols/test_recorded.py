"""What the server answered before its protocols were taken apart, and answers still: see `recording`."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from aiostream_server.config.model import AuthConfig, Config, LimitsConfig, OpenAIModelConfig, ServerConfig, TeamConfig
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from aiostream_server.sse import writer
from tests.kit.pictures import png
from tests.kit.scripted_provider import BreakOff, Call, HttpError, ScriptedAnswer, ScriptedProvider, Think
from tests.kit.serving import Server, config_for, sample_team, serving
from tests.protocols.recording import Recording
from tests.web.raw import head, post, send

PAGE: Final = "X-OpenWebUI-User-Name: Ann"
PRESENTATIONS: Final = ("transcript", "reasoning", "answer")
PNG: Final = png()
SELECT: Final = "SELECT name FROM regions ORDER BY name LIMIT 2"
LONG: Final = 'A long line, with an emoji 😀 and a quote " and <details>. ' * 120

DATA_SCRIPT: Final = (
    ScriptedAnswer("I read the tables.", Call("schema", {}, "call_0")),
    ScriptedAnswer(Call("query", {"sql": "DELETE FROM regions"}, "call_1")),
    ScriptedAnswer(Call("query", {"sql": SELECT}, "call_2")),
    ScriptedAnswer("East ", "it is."),
)
SAMPLES: Final[dict[str, Sequence[ScriptedAnswer | HttpError]]] = {
    "solo": (ScriptedAnswer(Think(["let ", "me see"]), "Hel", "lo ", "wörld 😀\u2028"),),
    "pair": (ScriptedAnswer("A draft.", usage=None), ScriptedAnswer("It is ", "good.")),
    "nested": (ScriptedAnswer("Inside."), ScriptedAnswer("Society says."), ScriptedAnswer("Outside.")),
    "selected": (ScriptedAnswer("Alpha"), ScriptedAnswer("I am Alpha."), ScriptedAnswer("Beta"), ScriptedAnswer("B.")),
    "with_tool": (ScriptedAnswer("Look: ", Call("weather", {"city": "Rome"})), ScriptedAnswer("Rain ", "there.")),
    "blind_result": (ScriptedAnswer(Call("dice", {})),),
    "only_runs": (),
    "failing": (),
    "until_approved": (ScriptedAnswer("Shall I?"),),
    "undescribed": (),
}
FAILURES: Final[dict[str, Sequence[ScriptedAnswer | HttpError]]] = {
    "provider refuses": (HttpError(400, {"error": {"message": "no such model"}}),),
    "provider breaks off": (ScriptedAnswer("half of ", BreakOff()), *[HttpError(400)] * 3),
    "length": (ScriptedAnswer("cut sh", finish="length"),),
    "long": (ScriptedAnswer(LONG),),
}


def config(provider: ScriptedProvider, *teams: TeamConfig, **sections: Any) -> Config:
    return config_for(provider.base_url, *teams, **sections)


def chat(question: str | list[dict[str, Any]], model: str, *headers: str, **fields: Any) -> bytes:
    return post(_body(question, model, **fields), *headers)


def run(question: str, model: str, *headers: str, **fields: Any) -> bytes:
    return post(_body(question, model, **fields), *headers, path="/v1/runs")


def get(path: str, *headers: str) -> bytes:
    return head(f"GET {path} HTTP/1.1", *headers)


def _body(question: str | list[dict[str, Any]], model: str, **fields: Any) -> bytes:
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
    return json.dumps({"model": model, "messages": messages, **fields}).encode()


@asynccontextmanager
async def samples(tmp_path: Path, name: str) -> AsyncIterator[tuple[Recording, ScriptedProvider, Server]]:
    async with ScriptedProvider() as provider:
        teams = [sample_team(name, name=name.title(), description=f"Does {name}.", examples=["a b c d e f"])
                 for name in SAMPLES]  # fmt: skip
        async with serving(config(provider, *teams), tmp_path) as server:
            recording = Recording(name, server.url)
            yield recording, provider, server
        recording.check()


async def streamed_and_whole(
    recording: Recording, provider: ScriptedProvider, label: str, script: Sequence[Any], model: str
) -> None:
    """Each presentation: streamed, replayed for Open WebUI's page, and whole."""
    for presentation in PRESENTATIONS:
        said = f"{label}, {presentation}"
        headers = (f"X-Presentation: {presentation}", f"Idempotency-Key: {said}")
        provider.script(*script)
        options = {"stream": True, "stream_options": {"include_usage": presentation == "reasoning"}}
        await recording.ask(f"{said}, streamed", chat("hi", model, *headers, **options))
        await recording.ask(f"{said}, replayed for the page", chat("hi", model, *headers, PAGE, **options))
        provider.script(*script)
        await recording.ask(f"{said}, whole", chat("hi", model, headers[0]))


@pytest.fixture(params=["directly", "plainly"])
def both_writers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the writer that goes around aiohttp, and without it."""
    monkeypatch.setattr(writer, "WRITES_DIRECTLY", request.param == "directly")


@pytest.mark.usefixtures("both_writers")
async def test_chat_of_every_kind_of_team(tmp_path: Path) -> None:
    async with samples(tmp_path, "chat") as (recording, provider, _):
        for name, script in SAMPLES.items():
            await streamed_and_whole(recording, provider, name, script, name.replace("_", "-"))


async def test_chat_whose_model_fails(tmp_path: Path) -> None:
    async with samples(tmp_path, "chat_failures") as (recording, provider, _):
        for name, script in FAILURES.items():
            await streamed_and_whole(recording, provider, name, script, "solo")


async def test_chat_of_the_data_team(tmp_path: Path) -> None:
    """Routed, too: the router's line, and a presentation that the team's configuration names."""
    async with ScriptedProvider() as provider, serving(config(provider), tmp_path) as server:
        recording = Recording("chat_data", server.url)
        await streamed_and_whole(recording, provider, "data", DATA_SCRIPT, "data")
        provider.script(*DATA_SCRIPT)
        key = "Idempotency-Key: routed"
        question = "Which region had the highest total sales?"
        await recording.ask("auto, streamed", chat(question, "auto", key, stream=True))
        await recording.ask("auto, replayed for the page", chat(question, "auto", key, PAGE, stream=True))
        await recording.ask("models", get("/v1/models"))
    recording.check()


async def test_chat_with_images(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": PNG}}]
    question = [{"role": "user", "content": parts}]
    async with ScriptedProvider() as provider:
        info = {"vision": True, "function_calling": True, "json_output": True, "family": "unknown"}
        info |= {"structured_output": False}
        seeing = OpenAIModelConfig.model_validate(
            {"provider": "openai", "model": "m", "base_url": provider.base_url, "model_info": info}
        )
        async with serving(Config(models={"default": seeing}, teams=(sample_team("solo"),)), tmp_path) as server:
            recording = Recording("images", server.url)
            provider.script(ScriptedAnswer("Black."))
            await recording.ask("seen", chat(question, "solo", stream=True))
            await recording.ask("models", get("/v1/models"))
        async with serving(config(provider, sample_team("solo")), tmp_path) as server:
            await recording.ask("blind", chat(question, "solo", stream=True), server.url)
            wrong = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://a/b.png"}}]}]
            await recording.ask("remote", chat(wrong, "solo"), server.url)
    recording.check()


async def test_auxiliary_questions(tmp_path: Path) -> None:
    title = (
        "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Output:\n"
        'JSON format: { "title": "your concise title here" }\n### Chat History:\n<chat_history>\n'
        "USER: How do I bake bread at home?\nASSISTANT: Slowly.\n</chat_history>"
    )
    async with samples(tmp_path, "auxiliary") as (recording, _, _):
        await recording.ask("title, whole", chat(title, "solo", PAGE))
        await recording.ask("by its header", chat("hi", "solo", "X-OpenWebUI-Task: title_generation"))
        task = "X-OpenWebUI-Task: tags_generation"
        usage = {"stream_options": {"include_usage": True}}
        await recording.ask("tags, streamed", chat("hi", "solo", task, stream=True, **usage))
        await recording.ask("title for auto", chat(title, "auto", stream=False))


async def test_models(tmp_path: Path) -> None:
    async with samples(tmp_path, "models") as (recording, _, _):
        for path in ("/v1/models", "/api/v1/models", "/v1//models", "/v1/models/auto", "/v1/models/solo"):
            await recording.ask(path, get(path))
        for path in ("/v1/models/autogen-agents", "/v1/models/nothing", "/v1/models/a%2Fb", "/healthz", "/readyz"):
            await recording.ask(path, get(path))


@pytest.mark.usefixtures("both_writers")
async def test_runs(tmp_path: Path) -> None:
    async with samples(tmp_path, "runs") as (recording, provider, server):
        for name, script in SAMPLES.items():
            provider.script(*script)
            key = f"Idempotency-Key: {name}"
            first = await recording.ask(f"{name}, started", run("hi", name.replace("_", "-"), key))
            await recording.ask(f"{name}, replayed", run("hi", name.replace("_", "-"), key))
            run_id = first.headers["X-Run-Id"]
            await recording.ask(f"{name}, read", get(f"/v1/runs/{run_id}"))
            await recording.ask(f"{name}, from 2 on", get(f"/v1/runs/{run_id}/events?starting_after=2"))
        await recording.ask("from the last event", get(f"/v1/runs/{run_id}/events", "Last-Event-ID: 1"))
        await recording.ask("beyond the end", get(f"/v1/runs/{run_id}/events?starting_after=999"))
        await recording.ask("list", get("/v1/runs?limit=3"))
        await recording.ask("list below /api", get("/api/v1/runs?limit=1"))
        await _in_the_background(recording, provider, server)
        for name, failure in FAILURES.items():
            provider.script(*failure)
            answer = await recording.ask(name, run("hi", "solo"))
            await recording.ask(f"{name}, read", get(f"/v1/runs/{answer.headers['X-Run-Id']}"))


async def _in_the_background(recording: Recording, provider: ScriptedProvider, server: Server) -> None:
    provider.script(ScriptedAnswer("Hello."))
    body = {"background": True, "conversation": "c-1", "on_disconnect": "cancel"}
    started = await recording.ask("background", run("hi", "solo", **body))
    run_id = started.headers["X-Run-Id"]
    await recording.ask("background, events", get(f"/v1/runs/{run_id}/events"))
    await recording.ask("background, read", get(f"/v1/runs/{run_id}"))
    await recording.ask("cancelled when it is over", head(f"POST /v1/runs/{run_id}/cancel HTTP/1.1"))
    await recording.ask("below /api", get(f"/api/v1/runs/{run_id}"))


async def test_a_run_is_cancelled(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        teams = (sample_team("hanging"), sample_team("solo", on_disconnect="continue"))
        async with serving(config(provider, *teams), tmp_path) as server:
            recording = Recording("cancelled", server.url)
            started = await recording.ask("started", run("hi", "hanging", background=True))
            run_id = started.headers["X-Run-Id"]
            (live,) = server.state.registry._live.values()
            while live.log.committed < 3:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            await recording.ask("running", get(f"/v1/runs/{run_id}"))
            await recording.ask("cancelled", head(f"POST /v1/runs/{run_id}/cancel HTTP/1.1"))
            await recording.ask("its events", get(f"/v1/runs/{run_id}/events"))
    recording.check()


async def test_refusals(tmp_path: Path) -> None:
    async with samples(tmp_path, "refusals") as (recording, provider, _):
        for label, body in {
            "not JSON": b"{",
            "empty": b"",
            "a list": b"[]",
            "no model": b'{"messages":[]}',
            "no messages": b'{"model":"solo"}',
            "empty messages": b'{"model":"solo","messages":[]}',
            "blank": _body(" ", "solo"),
            "no user": _body([{"role": "system", "content": "x"}], "solo"),
            "wrong role": _body([{"role": "function", "content": "x"}], "solo"),
            "no role": _body([{"content": "x"}], "solo"),
            "wrong content": _body([{"role": "user", "content": 7}], "solo"),
            "no tool call": _body([{"role": "tool", "content": "x", "tool_call_id": "c"}], "solo"),
            "assistant says nothing": _body([{"role": "assistant"}], "solo"),
            "n": _body("hi", "solo", n=2),
            "temperature": _body("hi", "solo", temperature=3),
            "seed": _body("hi", "solo", seed="x"),
            "response_format": _body("hi", "solo", response_format={"type": "xml"}),
            "modalities": _body("hi", "solo", modalities=["audio"]),
            "audio": _body("hi", "solo", audio={}),
            "effort": _body("hi", "solo", reasoning_effort="enormous"),
            "unknown model": _body("hi", "nothing"),
            "NaN": b'{"model":"solo","temperature":NaN}',
            "surrogate": b'{"model":"\\ud800"}',
            "not UTF-8": b'{"model":"\xff"}',
            "deep": b"[" * 100_000,
        }.items():
            await recording.ask(f"chat: {label}", post(body))
            await recording.ask(f"run: {label}", post(body, path="/v1/runs"))
        await recording.ask("presentation", chat("hi", "solo", "X-Presentation: loud"))
        for field, value in {"background": 1, "on_disconnect": "stay", "conversation": ""}.items():
            await recording.ask(f"run: {field}", run("hi", "solo", **{field: value}))
        await _refused_by_http(recording)
        provider.script(ScriptedAnswer("one"))
        key = "Idempotency-Key: k"
        await recording.ask("first", chat("one", "solo", key))
        await recording.ask("409", chat("two", "solo", key))
        await recording.ask("a wrong key", chat("two", "solo", "Idempotency-Key: ", "Idempotency-Key: b"))


async def _refused_by_http(recording: Recording) -> None:
    body = _body("hi", "solo")
    await recording.ask("415", post(body, content_type="text/plain"))
    await recording.ask("415 compressed", post(body, "Content-Encoding: gzip"))
    await recording.ask("charset", post(body, content_type="application/json; charset=latin-1"))
    for line in ("GET /v1/nothing", "GET /v2", "POST /v1/models", "DELETE /v1/chat/completions", "PUT /v1/runs/x"):
        await recording.ask(line, head(f"{line} HTTP/1.1"))
    for path in ("x", "x/events", "x/events?starting_after=-1", "x/events?starting_after=a"):
        await recording.ask(path, get(f"/v1/runs/{path}"))
    await recording.ask("cancel", head("POST /v1/runs/x/cancel HTTP/1.1"))
    await recording.ask("limit", get("/v1/runs?limit=0"))
    await recording.ask("two conversations", chat("hi", "solo", "X-Conversation-Id: a", "X-Conversation-Id: b"))
    await recording.ask("file", get("/v1/files/x"))
    await recording.ask("metrics", get("/metrics"))
    await recording.ask("foreign host", b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")


async def test_refusals_by_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    limited, text = new_key("limited", models=["solo"])
    add_key(file, limited)
    measuring, measuring_text = new_key("measuring", scope="metrics")
    add_key(file, measuring)
    bearer = f"Authorization: Bearer {text.get_secret_value()}"
    async with ScriptedProvider() as provider:
        teams = (sample_team("solo"), sample_team("pair"))
        async with serving(config(provider, *teams, auth=AuthConfig(keys_file=file)), tmp_path) as server:
            recording = Recording("keys", server.url)
            for path in ("/v1/models", "/v1/runs", "/v1/runs/x", "/v1/files/x", "/healthz"):
                await recording.ask(f"no key: {path}", get(path))
            await recording.ask("no key: chat", chat("hi", "solo"))
            await recording.ask("no key: run", run("hi", "solo"))
            await recording.ask("wrong key", chat("hi", "solo", "X-API-Key: aio-x"))
            await recording.ask("two keys", chat("hi", "solo", bearer, "X-API-Key: aio-x"))
            await recording.ask("models", get("/v1/models", bearer))
            await recording.ask("not allowed", chat("hi", "pair", bearer))
            await recording.ask("auto is not allowed", chat("hi", "auto", bearer))
            metrics_key = f"Authorization: Bearer {measuring_text.get_secret_value()}"
            await recording.ask("403", chat("hi", "solo", metrics_key))
    recording.check()


async def test_refusals_by_limits(tmp_path: Path) -> None:
    limits = LimitsConfig(max_runs=1, retention_s=0, retained_bytes=0)
    server_config = ServerConfig(max_body_bytes=2_000, body_timeout_s=0.3)
    async with ScriptedProvider() as provider:
        teams = (sample_team("solo"), sample_team("hanging"))
        async with serving(config(provider, *teams, limits=limits, server=server_config), tmp_path) as server:
            recording = Recording("limits", server.url)
            provider.script(ScriptedAnswer("Hello."))
            gone = await recording.ask("over", run("hi", "solo"))
            await recording.ask("410", get(f"/v1/runs/{gone.headers['X-Run-Id']}"))
            await recording.ask("410, events", get(f"/v1/runs/{gone.headers['X-Run-Id']}/events"))
            await recording.ask("413", chat("x" * 3_000, "solo"))
            await recording.ask("413, run", run("x" * 3_000, "solo"))
            await recording.ask("408", chat("hi", "solo")[:-5])
            await recording.ask("408, run", run("hi", "solo")[:-5])
            hanging = await recording.ask("hanging", run("hi", "hanging", background=True))
            await recording.ask("429", chat("hi", "solo"))
            await recording.ask("429, run", run("hi", "solo"))
            await recording.ask("end", head(f"POST /v1/runs/{hanging.headers['X-Run-Id']}/cancel HTTP/1.1"))
            await server.state.registry.drain()
            await recording.ask("503", chat("hi", "solo"))
            await recording.ask("503, run", run("hi", "solo"))
    recording.check()


async def test_openapi(tmp_path: Path) -> None:
    """The same document, whatever its components are called and its descriptions say."""
    async with samples(tmp_path, "openapi") as (recording, _, server):
        answer = await send(server.url, get("/api/openapi.json"))
        document = json.loads(answer.body)
        meaning = _meaning(document["paths"], document["components"])
        recording.add("paths", json.dumps(meaning, indent=1, sort_keys=True))


def _meaning(value: Any, components: Any) -> Any:
    """Without references, prose and the several ways to write one schema."""
    if isinstance(value, list):
        return [_meaning(item, components) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        _, _, kind, name = value["$ref"].split("/")
        return _meaning(components[kind][name], components)
    return _one_way({key: _meaning(item, components) for key, item in value.items() if not _is_prose(key, item)})


def _one_way(schema: dict[str, Any]) -> dict[str, Any]:
    """`const` for an `enum` of one, `anyOf` for `oneOf` and for a list of types, `maximum` for its exclusive sister."""
    kinds, choices, required = schema.get("type"), schema.get("enum"), schema.get("required")
    if isinstance(kinds, list):
        schema = {**schema, "anyOf": [{"type": kind} for kind in kinds], "type": None}
    if isinstance(choices, list):
        schema |= {"enum": sorted(choices)} if len(choices) > 1 else {"const": choices[0], "enum": None}
    if "const" in schema or "enum" in schema:
        schema = {**schema, "type": None}
    if isinstance(most := schema.get("exclusiveMaximum"), int):
        schema = {**schema, "maximum": most - 1, "exclusiveMaximum": None}
    if isinstance(required, list):
        schema = {**schema, "required": sorted(required) or None}
    if isinstance(either := schema.get("anyOf", schema.get("oneOf")), list):
        members = sorted(_flat(either), key=partial(json.dumps, sort_keys=True))
        schema = {**schema, "oneOf": None, "anyOf": None, **(members[0] if len(members) == 1 else {"anyOf": members})}
    return {key: value for key, value in schema.items() if value is not None}


def _flat(choices: list[Any]) -> list[Any]:
    return [inner for choice in choices for inner in (choice["anyOf"] if {*choice} == {"anyOf"} else [choice])]


def _is_prose(key: str, value: Any) -> bool:
    return key in ("description", "summary", "discriminator") and not (isinstance(value, dict) and "type" in value)
