"""`POST /v1/chat/completions`, streamed: over real sockets, with the provider's side seen, too."""

import asyncio
import gc
import json
from pathlib import Path

import aiohttp
import pytest

from aiostream_server.protocols.chat.request import ChatRequest
from tests.kit.scripted_provider import Gate, ScriptedAnswer, ScriptedProvider, Stall, Think
from tests.kit.serving import ask, asking, chat_body, config_for, sample_team, serving


async def test_every_token_arrives_before_the_next_one_leaves_the_provider(tmp_path: Path) -> None:
    """The promise of this server: no token waits for another one, in an agent's message or between two agents."""
    tokens = ["one ", "two ", "three ", "four", "fine ", "by ", "me"]
    gates = [Gate() for _ in tokens]
    steps = [step for token, gate in zip(tokens, gates, strict=True) for step in (token, gate)]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*steps[:8]), ScriptedAnswer(*steps[8:]))
        async with (
            serving(config_for(provider.base_url, sample_team("pair")), tmp_path) as server,
            asking(server.url, "hello", model="pair") as answer,
        ):
            pieces = answer.pieces()
            for token, gate in zip(tokens, gates, strict=True):
                async with asyncio.timeout(30):
                    assert token in await anext(pieces)
                gate.open()
            await answer.read_all()
    assert answer.done


async def test_shape_of_a_stream(tmp_path: Path) -> None:
    """One id, one `created`, the role once and first, one finish reason, usage with no choices, `[DONE]`, the end."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Hello ", "you", usage=(5, 2)))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            asking(server.url, "hi", model="solo", stream_options={"include_usage": True}) as answer,
        ):
            await answer.read_all()
    headers = answer.response.headers
    assert headers["Content-Type"].startswith("text/event-stream")
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["X-Request-ID"]
    assert headers["X-Run-Id"].startswith("run-")
    frames = answer.frames
    assert {frame["id"] for frame in frames} == {frames[0]["id"]}
    assert frames[0]["id"].startswith("chatcmpl-")
    assert len({frame["created"] for frame in frames}) == 1
    roles = [index for index, frame in enumerate(frames) if frame["choices"] and "role" in frame["choices"][0]["delta"]]
    assert roles == [0]
    assert answer.finish_reasons == ["stop"]
    assert frames[-1]["choices"] == []
    assert frames[-1]["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert answer.done
    assert answer.text == "✅ **Solo**\n\nHello you"


async def test_body_ends_exactly_behind_done(tmp_path: Path) -> None:
    """Open WebUI's turn ends with the body, not with `[DONE]`."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Hi"))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            aiohttp.ClientSession() as session,
            session.post(f"{server.url}/v1/chat/completions", json=chat_body("x", model="solo")) as response,
        ):
            body = await response.read()
    assert body.endswith(b'"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    assert b"usage" not in body


async def test_not_streamed_is_the_same_text_in_one_completion(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Hello ", "you", usage=(5, 2)))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            aiohttp.ClientSession() as session,
            session.post(
                f"{server.url}/api/v1/chat/completions", json=chat_body("hi", model="solo") | {"stream": False}
            ) as response,
        ):
            body = await response.json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == "✅ **Solo**\n\nHello you"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 7


async def test_presentation_by_header(tmp_path: Path) -> None:
    """`answer` is the answer alone; `reasoning` puts the work beside it."""
    team = sample_team("pair", answer_from=("Reviewer",))
    async with ScriptedProvider() as provider:
        provider.script(*[ScriptedAnswer("a draft"), ScriptedAnswer("the ", "verdict")] * 2)
        async with serving(config_for(provider.base_url, team), tmp_path) as server:
            only = await ask(server.url, "hi", model="pair", headers={"X-Presentation": "answer"})
            both = await ask(server.url, "hi", model="pair", headers={"X-Presentation": "reasoning"})
            async with asking(server.url, "hi", model="pair", headers={"X-Presentation": "loud"}) as refused:
                assert refused.response.status == 400
    assert only.text == "the verdict"
    assert both.text == "the verdict"
    deltas = [frame["choices"][0]["delta"] for frame in both.frames if frame.get("choices")]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "💬 **Writer**\n\na draft"


async def test_first_frame_comes_with_the_headers_before_the_model_says_anything(tmp_path: Path) -> None:
    """So that Stop works from the first moment on."""
    gate = Gate()
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(gate, "late"))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            asking(server.url, "hi", model="solo") as answer,
        ):
            first = await anext(answer.stream())
            assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
            gate.open()
            await answer.read_all()


async def test_a_silent_team_is_kept_alive_by_comments(tmp_path: Path) -> None:
    gate, lines = Gate(), []
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(gate, "late"))
        config = config_for(provider.base_url, sample_team("solo"), server={"heartbeat_s": 0.2})
        async with serving(config, tmp_path) as server, asking(server.url, "hi", model="solo") as answer:
            async for line in answer.response.content:
                lines.append(line)
                if lines.count(b": heartbeat\n") == 2:
                    gate.open()
    assert b"late" in b"".join(lines)


async def test_reasoning_is_shown_once_as_thinking(tmp_path: Path) -> None:
    """`<think>` inside chunks, and reasoning sent apart."""
    async with ScriptedProvider() as provider:
        provider.script(
            ScriptedAnswer("<thi", "nk>let me ", "think</th", "ink>\n\nSo: ", "42"),
            ScriptedAnswer(Think(["hm ", "yes"]), "43"),
        )
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            inside = await ask(server.url, "hi", model="solo")
            apart = await ask(server.url, "hi", model="solo")
    assert inside.text == "🤔 **Solo**\n\nlet me think\n\n✅ **Solo**\n\nSo: 42"
    assert apart.text == "🤔 **Solo**\n\nhm yes\n\n✅ **Solo**\n\n43"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_max_tokens_bounds_the_whole_run(tmp_path: Path, field: str) -> None:
    """The provider is told what is left; a provider that does not listen is cut."""
    async with ScriptedProvider() as provider:
        provider.script(
            ScriptedAnswer("a ", "b ", "c ", usage=(1, 3)), ScriptedAnswer("d ", "e ", "f ", "g ", usage=None)
        )
        async with serving(config_for(provider.base_url, sample_team("pair")), tmp_path) as server:
            answer = await ask(server.url, "hi", model="pair", **{field: 5})
        assert [exchange.body["max_tokens"] for exchange in provider.exchanges] == [5, 2]
    assert answer.text == "💬 **Writer**\n\na b c \n\n🛡 **Reviewer**\n\nd e "
    assert answer.finish_reasons == ["length"]
    assert answer.done


async def test_options_reach_the_model_and_tools_do_not(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": f"tool_{n}", "parameters": {}}} for n in range(36)]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("ok"))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            await ask(server.url, "hi", model="solo", temperature=0.3, seed=7, tools=tools, tool_choice="auto")
        body = provider.exchanges[0].body
    assert body["temperature"] == 0.3
    assert body["seed"] == 7
    assert "tools" not in body


async def test_earlier_turns_reach_the_agents_in_their_own_roles_once(tmp_path: Path) -> None:
    history = [
        {"role": "system", "content": "Be terse."},
        {"role": "user", "content": "What is 1+1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "And 2+2?"},
    ]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("4"), ScriptedAnswer("agreed"))
        async with serving(config_for(provider.base_url, sample_team("pair")), tmp_path) as server:
            await ask(server.url, history, model="pair")
        sent = [exchange.body["messages"] for exchange in provider.exchanges]
    roles = [(message["role"], message["content"]) for message in sent[0]]
    assert roles[0][0] == "system"
    assert "You are Writer." in roles[0][1]
    assert "Be terse." in roles[0][1]
    assert roles[1:] == [("user", "What is 1+1?"), ("assistant", "2"), ("user", "And 2+2?")]
    assert json.dumps(sent[1]).count("What is 1+1?") == 1


async def test_concurrent_runs_do_not_mix(tmp_path: Path) -> None:
    """Twenty at once over one shared model client: each client sees its own words."""

    def echo(body: object) -> ScriptedAnswer:
        assert isinstance(body, dict)
        word = body["messages"][-1]["content"]
        return ScriptedAnswer(*[f"{word} "] * 10, pause_s=0.01)

    async with ScriptedProvider() as provider:
        provider.script(echo)
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            words = [f"word{number}" for number in range(20)]
            answers = await asyncio.gather(*(ask(server.url, word, model="solo") for word in words))
    for word, answer in zip(words, answers, strict=True):
        assert answer.text == "✅ **Solo**\n\n" + f"{word} " * 10
    assert len({answer.run_id for answer in answers}) == 20


async def test_more_runs_than_allowed_are_refused_before_the_stream(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a", Stall()))
        config = config_for(provider.base_url, sample_team("solo"), limits={"max_runs": 1})
        async with serving(config, tmp_path) as server, asking(server.url, "hi", model="solo") as first:
            await anext(first.pieces())
            async with asking(server.url, "hi", model="solo") as second:
                assert second.response.status == 429
                assert second.response.headers["Retry-After"]
                assert (await second.response.json())["error"]["code"] == "too_many_runs"


async def test_a_stream_does_not_hold_the_request_that_it_answers(tmp_path: Path) -> None:
    """A long conversation is hundreds of objects; what a run needs of it is in the run's question."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Hello", Stall()))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            asking(server.url, "hi", model="solo") as answer,
        ):
            assert await anext(answer.pieces())
            assert not [each for each in gc.get_objects() if type(each) is ChatRequest]
