"""The spans of real runs over real sockets, as a collector receives them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.model import Config, DemoModelConfig, TeamConfig
from aiostream_server.service.tracing.agent_spans import MAX_CHARS
from tests.kit.scripted_provider import Call, HttpError, Pause, Reply, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking, chat_body, config_for, get_json, sample_team, until_idle
from tests.service.tracing.collector import check_nesting, tree
from tests.service.tracing.traced import CALLER, TRACE_ID, Traced, traced

DEMO = Config(models={"default": DemoModelConfig(provider="demo", tokens_per_s=0)})
TOTALS = "What are the total sales by region?"


async def test_a_run_of_the_data_team_is_a_tree_below_the_callers_span(tmp_path: Path) -> None:
    async with traced(DEMO, tmp_path) as server, asking(server.url, TOTALS, headers=CALLER) as answer:
        await answer.read_all()
    assert tree(server.spans) == [
        "POST /v1/chat/completions",
        "  invoke_workflow data",
        "    invoke_agent SQLAgent",
        "      chat default",
        "      execute_tool schema",
        "      chat default",
        "      execute_tool query",
        "    invoke_agent ValidationAgent",
        "    invoke_agent Database",
        "    invoke_agent AnalysisAgent",
        "      chat default",
    ]
    check_nesting(server.spans)
    assert {span.trace_id for span in server.spans} == {TRACE_ID}
    assert server.spans[0].parent_id == "cd" * 8
    assert not any(span.failed for span in server.spans)


async def test_spans_have_the_attributes_of_the_conventions(tmp_path: Path) -> None:
    async with traced(DEMO, tmp_path) as server, asking(server.url, TOTALS) as answer:
        await answer.read_all()
    request, run = server.spans[:2]
    assert (request.kind, run.kind) == ("server", "internal")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "aiostream.request.id": answer.response.headers["X-Request-Id"],
        "aiostream.run.id": answer.run_id,
    }
    assert run.attributes.pop("aiostream.routing.confidence") > 0.5  # type: ignore[attr-defined] # a dict here
    assert run.attributes == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "data",
        "aiostream.run.id": answer.run_id,
        "aiostream.model": "auto",
        "aiostream.protocol": "chat",
        "aiostream.routing.strategy": "rules",
        "aiostream.outcome": "stop",
    }
    calls = [dict(span.attributes) for span in server.spans if span.kind == "client"]
    assert all(0 <= call.pop("gen_ai.response.time_to_first_chunk") < 5 for call in calls)
    assert all(call.pop("gen_ai.usage.input_tokens") > 0 < call.pop("gen_ai.usage.output_tokens") for call in calls)
    assert calls[0] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "demo",
        "gen_ai.request.model": "default",
        "gen_ai.request.stream": True,
        "gen_ai.agent.name": "SQLAgent",
        "gen_ai.response.finish_reasons": ["tool_calls"],
        "aiostream.model": "default",
    }
    tool = dict(server.only("execute_tool query").attributes)
    assert tool.pop("gen_ai.tool.call.id").startswith("call_")
    assert tool == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "query",
        "gen_ai.tool.type": "function",
    }
    (resource,) = map(dict, server.collector.resources)
    assert resource["service.name"] == "aiostream-server"
    assert {"service.version", "service.instance.id"} <= resource.keys()


async def test_model_calls_of_a_single_agent_are_in_its_turn(tmp_path: Path) -> None:
    """Although they come without an agent's name."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("hi"))
        async with traced(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            await ask(server.url, "hello", model="solo")
    assert [line.strip() for line in tree(server.spans)][1:] == [
        "invoke_workflow solo",
        "invoke_agent Solo",
        "chat scripted",
    ]
    check_nesting(server.spans)


async def test_parallel_agents_keep_their_own_calls_and_tools(tmp_path: Path) -> None:
    """Left and Right begin together; one calls its model while the tool of the other runs."""

    def speak(body: Mapping[str, Any]) -> Reply:
        agent = body["messages"][0]["content"].removeprefix("You are ").removesuffix(".")
        has_looked = any(message["role"] == "tool" for message in body["messages"])
        if agent in ("Left", "Right") and not has_looked:
            return ScriptedAnswer(Pause(0.05 if agent == "Left" else 0.08), Call("look", {"where": agent}))
        return ScriptedAnswer(Pause(0.05), "done ", pause_s=0.01)

    team = TeamConfig(id="fan", factory="tests.service.tracing.teams:fanned_out")
    async with ScriptedProvider() as provider:
        provider.script(speak)
        async with traced(config_for(provider.base_url, team), tmp_path) as server:
            await ask(server.url, "hello", model="fan")
    check_nesting(server.spans)
    turns = {span.name.split()[1]: span for span in server.spans if span.name.startswith("invoke_agent")}
    assert set(turns) == {"Planner", "Left", "Right", "Closer"}
    assert len(turns) == sum(span.name.startswith("invoke_agent") for span in server.spans)
    assert turns["Left"].begun_at < turns["Right"].ended_at
    assert turns["Right"].begun_at < turns["Left"].ended_at
    inside = {
        agent: [span.name for span in server.spans if span.parent_id == turn.span_id] for agent, turn in turns.items()
    }
    both = ["chat scripted", "execute_tool look", "chat scripted"]
    assert inside == {"Planner": ["chat scripted"], "Left": both, "Right": both, "Closer": ["chat scripted"]}
    for span in server.spans:
        if span.kind == "client":
            assert turns[span.attributes["gen_ai.agent.name"]].span_id == span.parent_id


async def test_a_failed_model_call_fails_the_run(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(HttpError(503), HttpError(400, {"error": {"message": "canary"}}))
        async with traced(config_for(provider.base_url, sample_team("pair")), tmp_path) as server:
            await ask(server.url, "hello", model="pair")
    call, run = server.only("chat scripted"), server.only("invoke_workflow pair")
    assert call.failed
    assert call.attributes["error.type"] == "model_failed"
    assert call.events == (("aiostream.retry", {"error.type": "503"}),)
    assert run.failed
    assert run.attributes["error.type"] == "model_failed"
    assert run.attributes["aiostream.outcome"] == "error"
    assert not server.spans[0].failed  # it was a stream, with status 200


async def test_a_cancelled_run_ends_every_span_and_fails_none(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a ", Stall()))
        async with traced(config_for(provider.base_url, sample_team("pair")), tmp_path) as server:
            async with asking(server.url, "hello", model="pair") as answer:
                await anext(answer.pieces())
            await until_idle(server.server)
    request, run, _, call = server.spans
    assert (request.kind, call.kind) == ("server", "client")
    assert [span.attributes["aiostream.outcome"] for span in (request, run, call)] == ["cancelled"] * 3
    assert call.attributes["gen_ai.usage.input_tokens"] > 0
    assert not any(span.failed for span in server.spans)
    check_nesting(server.spans)


async def test_a_cancelled_tool_ends_with_the_run(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(Call("slow")))
        async with traced(config_for(provider.base_url, sample_team("with_slow_tool")), tmp_path) as server:
            async with asking(server.url, "hello", model="with-slow-tool") as answer:
                async for piece in answer.pieces():
                    if "slow" in piece:
                        break
            await until_idle(server.server)
    tool = server.only("execute_tool slow")
    assert tool.attributes["aiostream.outcome"] == "cancelled"
    check_nesting(server.spans)


async def test_a_run_outlives_its_request_and_others_are_linked_to_it(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(Pause(0.2), "hi"))
        async with (
            traced(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            aiohttp.ClientSession(server.url) as session,
        ):
            body = {**chat_body("hello", model="solo"), "background": True}
            async with session.post("/v1/runs", json=body, headers=CALLER) as response:
                events_url = (await response.json())["events_url"]
            async with session.get(events_url) as response:
                await response.read()
    begun, run = server.spans[:2]
    viewed = server.only("GET /v1/runs/{run_id}/events")
    assert run.parent_id == begun.span_id
    assert run.ended_at > begun.ended_at
    assert begun.links == ()
    assert viewed.trace_id != begun.trace_id
    assert viewed.links == (run.span_id,)
    assert viewed.attributes["aiostream.run.id"] == run.attributes["aiostream.run.id"]


async def test_the_request_to_the_provider_carries_the_span_of_the_call(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("hi"))
        async with (
            traced(config_for(provider.base_url, sample_team("pair")), tmp_path) as server,
            asking(server.url, "hello", model="pair", headers={**CALLER, "tracestate": "x=canary"}) as answer,
        ):
            provider.script(ScriptedAnswer("hi"))
            await answer.read_all()
    sent = [exchange.headers["traceparent"] for exchange in provider.exchanges]
    calls = [span for span in server.spans if span.kind == "client"]
    assert sent == [f"00-{TRACE_ID}-{call.span_id}-01" for call in calls]
    assert len(sent) == 2
    assert not any("tracestate" in exchange.headers for exchange in provider.exchanges)


@pytest.mark.parametrize(
    ("ratio", "caller_flags", "is_sent"),
    [(1.0, None, True), (0.0, None, False), (0.0, "01", True), (1.0, "00", False)],
)
async def test_the_caller_decides_on_sampling_and_else_the_ratio(
    tmp_path: Path, ratio: float, caller_flags: str | None, is_sent: bool
) -> None:
    """The provider gets the trace id in either case."""
    headers = {} if caller_flags is None else {"traceparent": f"00-{TRACE_ID}-{'cd' * 8}-{caller_flags}"}
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("hi"))
        async with (
            traced(config_for(provider.base_url, sample_team("solo")), tmp_path, sample_ratio=ratio) as server,
            asking(server.url, "hello", model="solo", headers=headers) as answer,
        ):
            await answer.read_all()
    assert bool(server.spans) is is_sent
    traceparent = provider.exchanges[0].headers["traceparent"]
    assert bool(int(traceparent[-2:], 16) & 1) is is_sent
    assert caller_flags is None or TRACE_ID in traceparent


async def test_health_checks_and_metrics_are_not_traced(tmp_path: Path) -> None:
    async with traced(DEMO, tmp_path) as server:
        await get_json(f"{server.url}/healthz")
        await get_json(f"{server.url}/api/readyz")
        await get_json(f"{server.url}/v1/models")
    assert [span.name for span in server.spans] == ["GET /v1/models"]


def _secretive(word: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A body and headers with that word in every place that a client can fill."""
    messages = [{"role": role, "content": f"{word} of the {role}"} for role in ("system", "user", "assistant", "user")]
    body = chat_body(messages, model="with-tool", user=word, stop=[word], metadata={"a": word})
    names = ("X-Conversation-Id", "X-User-ID", "User-Agent", "X-OpenWebUI-User-Name", "Referer", "Idempotency-Key")
    short = word[:20]
    return body, {**dict.fromkeys(names, short), "tracestate": f"a={short}", "baggage": f"a={short}", **CALLER}


async def _spoken(path: Path, word: str, **settings: Any) -> Traced:
    """A run in which every agent says it, and requests for missing things."""
    short = word[:20]
    body, headers = _secretive(word)
    async with ScriptedProvider() as provider:
        provider.script(
            ScriptedAnswer(f"{word} first", Call("weather", {"city": word})),
            ScriptedAnswer(f"{word} last"),
            HttpError(400, word),
        )
        config = config_for(provider.base_url, sample_team("with_tool"))
        async with traced(config, path, **settings) as server, aiohttp.ClientSession(server.url) as session:
            for _ in range(2):
                async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
                    await response.read()
                headers.pop("Idempotency-Key", None)
            for where in (f"/v1/models/{short}", f"/{short}?a={short}", f"/v1/runs/{short}"):
                async with session.request("PROPFIND", where) as response:
                    await response.read()
                async with session.get(where) as response:
                    assert response.status == 404
    assert len(server.spans) > 8
    return server


async def test_no_text_of_users_models_or_tools_is_in_a_span(tmp_path: Path) -> None:
    server = await _spoken(tmp_path, "canary")
    assert not any(b"canary" in body.lower() for body in server.collector.bodies)


async def test_texts_are_attributes_if_configured_and_are_cut(tmp_path: Path) -> None:
    server = await _spoken(tmp_path, f"canary {'x' * (MAX_CHARS + 9)}".replace(" ", "-"), content=True)
    run = next(span for span in server.spans if span.name == "invoke_workflow with-tool")
    tool = server.only("execute_tool weather")
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        assert "canary-" in run.attributes[name]
        assert "…" in run.attributes[name]
        assert len(run.attributes[name]) < MAX_CHARS + 200
    assert "canary-" in tool.attributes["gen_ai.tool.call.arguments"]
    assert len(tool.attributes["gen_ai.tool.call.arguments"]) <= MAX_CHARS
    assert tool.attributes["gen_ai.tool.call.result"].startswith("rain in canary-")
    turn = next(span for span in server.spans if span.span_id == tool.parent_id)
    assert "canary-" in turn.attributes["gen_ai.output.messages"]


async def test_refused_and_failed_requests_have_their_status_and_error(tmp_path: Path) -> None:
    async with traced(DEMO, tmp_path) as server, aiohttp.ClientSession(server.url) as session:
        async with session.post("/v1/chat/completions", json={}) as response:
            assert response.status == 400
        server.server.state.registry._admission.close()
        async with session.post("/v1/chat/completions", json=chat_body("hi")) as response:
            assert response.status == 503
        async with session.request("PROPFIND", "/coffee") as response:
            await response.read()
    refused, broken, unknown = server.spans
    assert (refused.attributes["http.response.status_code"], refused.failed) == (400, False)
    assert (broken.attributes["error.type"], broken.failed) == ("503", True)
    assert (unknown.name, unknown.attributes["http.request.method"]) == ("HTTP", "_OTHER")


async def test_parallel_runs_keep_their_own_traces(tmp_path: Path) -> None:
    async with traced(DEMO, tmp_path) as server:
        await asyncio.gather(*(ask(server.url, TOTALS) for _ in range(8)))
    check_nesting(server.spans)
    traces: dict[str, list[str]] = {}
    for span in server.spans:
        traces.setdefault(span.trace_id, []).append(span.name)
    assert len(traces) == 8
    assert {len(names) for names in traces.values()} == {11}
