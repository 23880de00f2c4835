"""`/v1/responses` with the `openai` package as it is: streams, the background, chains of responses, and refusals."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from aiostream_server.config.model import Config, LimitsConfig, ServerConfig, TeamConfig
from tests.kit.pictures import png
from tests.kit.scripted_provider import (
    Call,
    Exchange,
    Gate,
    HttpError,
    Pause,
    ScriptedAnswer,
    ScriptedProvider,
    Stall,
)
from tests.kit.serving import Server, config_for, sample_team, serving, until_idle
from tests.kit.waiting import wait_for
from tests.web.test_images import config as seeing_config
from tests.web.test_keys import client_of as client_with
from tests.web.test_keys import keyed

WORDS = [f"w{number} " for number in range(8)]


@asynccontextmanager
async def client_of(server: Server, base: str = "/v1", **options: Any) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}{base}", api_key="none", max_retries=0, **options) as client:
        yield client


@asynccontextmanager
async def asked(
    tmp_path: Path, *script: ScriptedAnswer | HttpError, team: str = "solo", **sections: Any
) -> AsyncIterator[tuple[Any, Server, ScriptedProvider]]:
    async with ScriptedProvider() as provider:
        provider.script(*script)
        config = config_for(provider.base_url, sample_team(team), **sections)
        async with serving(config, tmp_path) as server, client_of(server) as client:
            yield client, server, provider


def heard(exchange: Exchange) -> list[str]:
    """What the model was told, but for the system prompt."""
    return [message["content"] for message in exchange.body["messages"] if message["role"] != "system"]


@pytest.mark.parametrize("base", ["/v1", "/api/v1", "/openai/v1"])
async def test_whole_and_streamed_are_the_same_response(tmp_path: Path, base: str) -> None:
    async with (
        asked(tmp_path, *[ScriptedAnswer("Hel", "lo.")] * 2) as (_, server, _),
        client_of(server, base) as client,
    ):
        whole = await client.responses.create(model="solo", input="hi", metadata={"k": "v"})
        async with client.responses.stream(model="solo", input="hi", metadata={"k": "v"}) as stream:
            deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            streamed = await stream.get_final_response()
    assert deltas == ["Hel", "lo."]
    assert whole.output_text == streamed.output_text == "Hello."
    assert (whole.status, whole.metadata, whole.model) == ("completed", {"k": "v"}, "solo")
    assert whole.usage is not None
    assert whole.usage.total_tokens == 18
    assert whole.completed_at is not None


async def test_every_token_arrives_before_the_next_one_leaves_the_provider(tmp_path: Path) -> None:
    gates = [Gate() for _ in WORDS]
    pieces = [part for gate, word in zip(gates, WORDS, strict=True) for part in (gate, word)]
    async with asked(tmp_path, ScriptedAnswer(*pieces)) as (client, _, _):
        stream = await client.responses.create(model="solo", input="hi", stream=True)
        first = await anext(stream)
        assert first.type == "response.created", "before the model says anything"
        for gate, word in zip(gates, WORDS, strict=True):
            gate.open()
            while (event := await anext(stream)).type != "response.output_text.delta":
                pass
            assert event.delta == word
        await stream.close()


async def test_a_response_in_the_background_is_queued_then_resumed_at_any_number(tmp_path: Path) -> None:
    gate = Gate()
    async with asked(tmp_path, ScriptedAnswer("a ", gate, *WORDS)) as (client, server, provider):
        queued = await client.responses.create(model="solo", input="hi", background=True)
        assert (queued.status, queued.output) == ("queued", [])
        watching = asyncio.create_task(read_all(client, queued.id))
        await wait_for(lambda: bool(provider.exchanges), "the model is asked")
        assert (await client.responses.retrieve(queued.id)).status == "in_progress"
        gate.open()
        events = await watching
        done = await client.responses.retrieve(queued.id)
        assert (done.status, done.output_text) == ("completed", "a " + "".join(WORDS))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        for after in range(0, len(events), 5):
            assert await read_all(client, queued.id, after) == events[after + 1 :]
        await until_idle(server)


async def read_all(client: Any, response_id: str, after: int | None = None) -> list[Any]:
    more = {} if after is None else {"starting_after": after}
    return [event async for event in await client.responses.retrieve(response_id, stream=True, **more)]


async def test_a_stream_that_broke_off_is_resumed_while_it_goes_on(tmp_path: Path) -> None:
    script = ScriptedAnswer(*WORDS, pause_s=0.02)
    async with asked(tmp_path, script) as (client, _, _):
        stream = await client.responses.create(model="solo", input="hi", stream=True, background=True)
        seen = [await anext(stream) for _ in range(7)]
        await stream.close()
        seen += await read_all(client, seen[0].response.id, seen[-1].sequence_number)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert "".join(event.delta for event in seen if event.type == "response.output_text.delta") == "".join(WORDS)


async def test_cancelling_ends_the_run_and_twice_is_no_error(tmp_path: Path) -> None:
    async with asked(tmp_path, ScriptedAnswer("one ", Stall())) as (client, server, _provider):
        response = await client.responses.create(model="solo", input="hi", background=True)
        for _ in range(2):
            cancelled = await client.responses.cancel(response.id)
            assert cancelled.status == "cancelled"
        await until_idle(server)
        events = await read_all(client, response.id)
        assert (events[-1].type, events[-1].response.status) == ("response.failed", "cancelled")
        with pytest.raises(openai.NotFoundError, match="previous_response_id"):
            await client.responses.create(model="solo", input="on", previous_response_id=response.id)


async def test_without_background_leaving_ends_the_run(tmp_path: Path) -> None:
    async with asked(tmp_path, ScriptedAnswer("one ", Stall())) as (client, server, provider):
        stream = await client.responses.create(model="solo", input="hi", stream=True)
        while (await anext(stream)).type != "response.output_text.delta":
            pass
        await stream.close()
        await until_idle(server)
        await asyncio.wait_for(provider.exchanges[0].closed.wait(), 5)


async def test_each_response_can_be_continued_more_than_once(tmp_path: Path) -> None:
    """Each time from where it stood; instructions are those of one turn."""
    script = [ScriptedAnswer(text) for text in ("First.", "Left.", "Right.", "Deep.")]
    async with asked(tmp_path, *script) as (client, _, provider):
        first = await client.responses.create(model="solo", input="one", instructions="Be brief.")
        left = await client.responses.create(model="solo", input="left", previous_response_id=first.id)
        right = await client.responses.create(model="solo", input="right", previous_response_id=first.id)
        await client.responses.create(model="solo", input="deep", previous_response_id=right.id)
    assert [heard(each) for each in provider.exchanges] == [
        ["one"],
        ["one", "First.", "left"],
        ["one", "First.", "right"],
        ["one", "First.", "right", "Right.", "deep"],
    ]
    told = [[m["content"] for m in each.body["messages"] if m["role"] == "system"] for each in provider.exchanges]
    assert ["Be brief." in "".join(texts) for texts in told] == [True, False, False, False]
    assert left.previous_response_id == first.id


async def test_a_chain_goes_on_after_a_restart_and_its_responses_are_gone(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."))
        config = config_for(provider.base_url, sample_team("solo"))
        async with serving(config, tmp_path) as server, client_of(server) as client:
            first = await client.responses.create(model="solo", input="one")
        async with serving(config, tmp_path) as server, client_of(server) as client:
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(first.id)
            await client.responses.create(model="solo", input="two", previous_response_id=first.id)
            await client.responses.delete(first.id)
            with pytest.raises(openai.NotFoundError, match="nothing of it is remembered"):
                await client.responses.create(model="solo", input="three", previous_response_id=first.id)
    assert heard(provider.exchanges[1]) == ["one", "First.", "two"]


async def test_a_reference_to_an_item_continues_its_response(tmp_path: Path) -> None:
    """As the AI SDK asks, which sends only the ids of what it has."""
    async with asked(tmp_path, ScriptedAnswer("First."), ScriptedAnswer("Second.")) as (client, _, provider):
        first = await client.responses.create(model="solo", input="one")
        items: Any = [
            {"role": "user", "content": "one"},
            {"type": "item_reference", "id": first.output[0].id},
            {"role": "user", "content": "two"},
        ]
        await client.responses.create(model="solo", input=items)
        items[1]["id"] = "msg_of_another_server"
        with pytest.raises(openai.BadRequestError, match=r"input\[1\].id: there is no such item"):
            await client.responses.create(model="solo", input=items)
    assert heard(provider.exchanges[1]) == ["one", "First.", "two"]


async def test_items_that_are_sent_back_are_the_history(tmp_path: Path) -> None:
    """The messages of one answer are one message of the model's; reasoning is not told again."""
    script = (
        ScriptedAnswer("Look: ", Call("weather", {"city": "Rome"})),
        ScriptedAnswer("Rain."),
        ScriptedAnswer("Yes."),
    )
    async with asked(tmp_path, *script, team="with_tool") as (client, _, provider):
        first = await client.responses.create(model="with-tool", input="weather?")
        assert [item.type for item in first.output] == ["message", "reasoning", "message"]
        back = [item.model_dump(exclude_none=True) for item in first.output]
        items: Any = [{"role": "user", "content": "weather?"}, *back, {"role": "user", "content": "sure?"}]
        await client.responses.create(model="with-tool", input=items)
    assert heard(provider.exchanges[2]) == ["weather?", "Look:\n\nRain.", "sure?"]


async def test_a_named_conversation_is_the_one_of_every_protocol(tmp_path: Path) -> None:
    async with asked(tmp_path, *[ScriptedAnswer("Yes.")] * 3) as (client, _, provider):
        first = await client.responses.create(model="solo", input="one", conversation="talk")
        await client.responses.create(model="solo", input="two", conversation={"id": "talk"})
        headers = {"X-Conversation-Id": "talk"}
        await client.chat.completions.create(
            model="solo", messages=[{"role": "user", "content": "three"}], extra_headers=headers
        )
        assert first.conversation is not None
        assert first.conversation.id == "talk"
        with pytest.raises(openai.BadRequestError, match="either"):
            await client.responses.create(model="solo", input="x", conversation="talk", previous_response_id=first.id)
    assert heard(provider.exchanges[2]) == ["one", "Yes.", "two", "Yes.", "three"]


async def test_a_response_of_a_named_conversation_is_continued_in_it(tmp_path: Path) -> None:
    """Whether the header is sent again or not; what is not stored is not remembered there either."""
    named = {"X-Conversation-Id": "talk"}
    async with asked(tmp_path, *[ScriptedAnswer("Yes.")] * 4) as (client, _, provider):
        first = await client.responses.create(model="solo", input="one", extra_headers=named)
        await client.responses.create(model="solo", input="two", previous_response_id=first.id)
        await client.responses.create(model="solo", input="three", extra_headers=named, store=False)
        await client.responses.create(model="solo", input="four", extra_headers=named)
    assert heard(provider.exchanges[2]) == ["one", "Yes.", "two", "Yes.", "three"]
    assert heard(provider.exchanges[3]) == ["one", "Yes.", "two", "Yes.", "four"]


async def test_of_a_page_s_temporary_chat_nothing_is_remembered(tmp_path: Path) -> None:
    async with asked(tmp_path, ScriptedAnswer("Yes.")) as (client, server, _):
        headers = {"X-OpenWebUI-Chat-Id": "local:abc"}
        response = await client.responses.create(model="solo", input="one", extra_headers=headers)
        archive = server.state.state.resources.archive
        assert archive is not None
        assert await archive.conversations.summaries() == []
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model="solo", input="two", previous_response_id=response.id)


async def test_what_is_not_stored_is_neither_read_nor_continued(tmp_path: Path) -> None:
    async with asked(tmp_path, *[ScriptedAnswer("Yes.")] * 3) as (client, _, provider):
        kept = await client.responses.create(model="solo", input="one")
        response = await client.responses.create(model="solo", input="two", previous_response_id=kept.id, store=False)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model="solo", input="three", previous_response_id=response.id)
        with pytest.raises(openai.BadRequestError, match="background: needs `store`"):
            await client.responses.create(model="solo", input="three", background=True, store=False)
    assert heard(provider.exchanges[1]) == ["one", "Yes.", "two"]


async def test_a_response_that_is_not_finished_cannot_be_continued_yet(tmp_path: Path) -> None:
    async with asked(tmp_path, ScriptedAnswer("one ", Stall())) as (client, _, _):
        live = await client.responses.create(model="solo", input="hi", background=True)
        with pytest.raises(openai.ConflictError, match="not finished"):
            await client.responses.create(model="solo", input="on", previous_response_id=live.id)
        await client.responses.delete(live.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(live.id)


async def test_the_next_request_replies_to_a_question_of_the_team(tmp_path: Path) -> None:
    """A first reply only: what the user approves is approved once."""
    script = [ScriptedAnswer("Draft. Shall I?"), ScriptedAnswer("Anew.")]
    async with asked(tmp_path, *script, team="until_approved") as (client, _, provider):
        asking = await client.responses.create(model="until-approved", input="write")
        assert asking.output_text == "Draft. Shall I?"
        approved = await client.responses.create(
            model="until-approved", input="APPROVE", previous_response_id=asking.id
        )
        assert approved.status == "completed"
        assert len(provider.exchanges) == 1, "the team was resumed, and ended"
        await client.responses.create(model="until-approved", input="APPROVE", previous_response_id=asking.id)
        assert len(provider.exchanges) == 2


async def test_the_input_is_listed_without_pictures_page_by_page(tmp_path: Path) -> None:
    items: Any = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "A."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "two"}]},
    ]
    async with asked(tmp_path, ScriptedAnswer("Yes.")) as (client, _, _):
        response = await client.responses.create(model="solo", input=items)
        ascending = [item async for item in client.responses.input_items.list(response.id, order="asc", limit=2)]
        newest = await client.responses.input_items.list(response.id, limit=1)
        with pytest.raises(openai.BadRequestError):
            await client.responses.input_items.list(response.id, after="msg_x")
    texts = [item.content[0].text for item in ascending if item.type == "message"]
    assert texts == ["one", "A.", "two"]
    assert newest.data[0].id == ascending[-1].id
    assert newest.has_more is True


async def test_a_seeing_model_gets_the_picture(tmp_path: Path) -> None:
    parts: Any = [
        {"type": "input_text", "text": "What?"},
        {"type": "input_image", "image_url": png(), "detail": "auto"},
    ]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("A pixel."))
        async with (
            serving(seeing_config(provider.base_url, vision=True), tmp_path) as server,
            client_of(server) as client,
        ):
            response = await client.responses.create(model="solo", input=[{"role": "user", "content": parts}])
            listed = (await client.responses.input_items.list(response.id)).data[0].to_dict()
        content = provider.exchanges[0].body["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url"]
    assert "base64" not in json.dumps(listed)


class Region(BaseModel):
    name: str
    total: int


async def test_json_that_fits_a_schema(tmp_path: Path) -> None:
    script = [ScriptedAnswer("North, with 42."), ScriptedAnswer('{"name": "North", "total": 42}')] * 2
    async with asked(tmp_path, *script) as (client, _, _):
        parsed = await client.responses.parse(model="solo", input="best?", text_format=Region)
        assert parsed.output_parsed == Region(name="North", total=42)
        async with client.responses.stream(model="solo", input="best?", text_format=Region) as stream:
            final = await stream.get_final_response()
        assert final.output_parsed == Region(name="North", total=42)


async def test_the_presentation_answer_leaves_out_the_work(tmp_path: Path) -> None:
    script = [ScriptedAnswer("A draft."), ScriptedAnswer("It is good.")] * 2
    async with asked(tmp_path, *script, team="pair") as (client, _, _):
        shown = await client.responses.create(model="pair", input="hi")
        bare = await client.responses.create(model="pair:answer", input="hi")
    assert [item.type for item in shown.output] == ["reasoning", "reasoning", "message"]
    assert [item.type for item in bare.output] == ["message"]
    assert shown.output_text == bare.output_text == "It is good."


async def test_a_title_is_answered_without_a_team(tmp_path: Path) -> None:
    prompt = (
        "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Output:\n"
        'JSON format: { "title": "your concise title here" }\n### Chat History:\n<chat_history>\n'
        "USER: What is 15% of 850?\nASSISTANT: 127.5\n</chat_history>"
    )
    async with asked(tmp_path) as (client, _server, provider):
        response = await client.responses.create(model="solo", input=prompt)
        assert "title" in json.loads(response.output_text)
        assert provider.exchanges == []


async def test_open_webui_gets_its_status_lines_and_complete_pairs(tmp_path: Path) -> None:
    script = (ScriptedAnswer(Call("weather", {"city": "Rome"})), ScriptedAnswer("Rain."))
    async with asked(tmp_path, *script, team="with_tool") as (_, server, _), aiohttp.ClientSession() as session:
        body = {"model": "with-tool", "input": [{"role": "user", "content": "weather?"}], "stream": True}
        headers = {"X-OpenWebUI-User-Name": "Ann"}
        async with session.post(f"{server.url}/v1/responses", json=body, headers=headers) as response:
            lines = [line for line in (await response.text()).splitlines() if line.startswith("data: {")]
    frames = [json.loads(line[6:]) for line in lines]
    assert any(frame.get("event", {}).get("type") == "status" for frame in frames)
    output = next(frame for frame in frames if frame.get("type") == "response.completed")["response"]["output"]
    assert [item["type"] for item in output] == ["function_call", "function_call_output", "message"]
    assert output[0]["call_id"] == output[1]["call_id"]


async def test_a_repeated_idempotency_key_is_the_same_response(tmp_path: Path) -> None:
    async with asked(tmp_path, ScriptedAnswer("Once.")) as (client, _, provider):
        headers = {"Idempotency-Key": "k"}
        twice = [await client.responses.create(model="solo", input="hi", extra_headers=headers) for _ in range(2)]
    assert twice[0] == twice[1]
    assert len(provider.exchanges) == 1


async def test_another_key_knows_nothing_of_it(tmp_path: Path) -> None:
    async with keyed(tmp_path, ann=None, bob=None) as (server, keys):
        async with client_with(server, keys["ann"]) as ann, client_with(server, keys["bob"]) as bob:
            response = await ann.responses.create(model="general", input="What is 15% of 850?")
            for call in (bob.responses.retrieve, bob.responses.cancel, bob.responses.delete):
                with pytest.raises(openai.NotFoundError):
                    await call(response.id)
            with pytest.raises(openai.NotFoundError) as unknown:
                await bob.responses.create(model="general", input="on", previous_response_id=response.id)
            assert unknown.value.code == "previous_response_not_found"
            assert (await ann.responses.retrieve(response.id)).status == "completed"
        async with client_with(server, "wrong") as stranger:
            with pytest.raises(openai.AuthenticationError) as refused:
                await stranger.responses.create(model="general", input="hi")
            assert refused.value.code == "invalid_api_key"


async def test_each_refusal_has_openais_shape_and_status(tmp_path: Path) -> None:
    limits = LimitsConfig(max_runs=1, queue_size=0)
    async with asked(tmp_path, ScriptedAnswer("one ", Stall()), limits=limits) as (client, server, _):
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.responses.create(model="nobody", input="hi")
        assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
        for wrong, param in WRONG:
            with pytest.raises(openai.BadRequestError) as invalid:
                await client.responses.create(
                    model="solo", extra_body=wrong, **({} if "input" in wrong else {"input": "x"})
                )
            assert invalid.value.param == param, wrong
        await client.responses.create(model="solo", input="hi", background=True)
        with pytest.raises(openai.RateLimitError) as full:
            await client.responses.create(model="solo", input="hi")
        assert full.value.code == "too_many_runs"
        for path in ("resp_x", "x", "run-x"):
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(path)
        await server.state.registry.close()
        with pytest.raises(openai.InternalServerError) as draining:
            await client.responses.create(model="solo", input="hi")
        assert (draining.value.status_code, draining.value.code) == (503, "shutting_down")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"input": []}, "input"),
    ({"input": [{"role": "nobody", "content": "x"}]}, "input[0].role"),
    ({"input": [{"type": "unheard_of"}]}, "input[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0].type"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        "input[0].content[0].image_url",
    ),
    ({"input": [{"role": "user", "content": " "}]}, "input[0].content"),
    (
        {"input": [{"role": "user", "content": "x"}, {"type": "function_call_output", "call_id": "c", "output": "x"}]},
        "input[1].call_id",
    ),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"max_output_tokens": "many"}, "max_output_tokens"),
    ({"conversation": ""}, "conversation.id"),
    ({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": 1}}}}, "text.format.schema"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice"),
    ({"tools": [{"type": "function", "name": "f", "parameters": 1}]}, "tools[0].parameters"),
]


async def test_a_failure_keeps_its_status_and_in_a_stream_is_the_last_event(tmp_path: Path) -> None:
    """Asked for again, it is read as a response that failed."""
    server_config = ServerConfig(failure_memory_s=0)
    failing = [HttpError(429, {"error": {"message": "slow down"}})] * 3
    async with asked(tmp_path, *failing * 2, server=server_config) as (client, _, _):
        with pytest.raises(openai.RateLimitError) as whole:
            await client.responses.create(model="solo", input="hi")
        stream = await client.responses.create(model="solo", input="hi", stream=True)
        events = [event async for event in stream]
        assert events[-1].type == "response.failed"
        assert events[-1].response.error is not None
        assert events[-1].response.error.code == whole.value.code == "rate_limit_exceeded"
        read = await client.responses.retrieve(events[-1].response.id)
        assert (read.status, read.error) == ("failed", events[-1].response.error)


async def test_max_output_tokens_makes_it_incomplete(tmp_path: Path) -> None:
    async with asked(tmp_path, ScriptedAnswer(*["word "] * 50, pause_s=0.01)) as (client, _, _):
        response = await client.responses.create(model="solo", input="hi", max_output_tokens=5)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_shutdown_gives_every_stream_its_last_words(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", Stall()))
        config: Config = config_for(provider.base_url, sample_team("solo"))
        async with serving(config, tmp_path) as server, client_of(server) as client:
            stream = await client.responses.create(model="solo", input="hi", stream=True)
            while (await anext(stream)).type != "response.output_text.delta":
                pass
            reading = asyncio.create_task(rest_of(stream))
            began = time.monotonic()
            await server.runner.cleanup()
            assert time.monotonic() - began < 5
            events = await reading
    assert events[-1].type == "response.failed"
    assert "shutting down" in events[-1].response.error.message


async def rest_of(stream: Any) -> list[Any]:
    return [event async for event in stream]


async def test_a_silent_team_is_kept_alive_by_comments(tmp_path: Path) -> None:
    async with (
        asked(tmp_path, ScriptedAnswer(Pause(0.3), "x"), server=ServerConfig(heartbeat_s=0.05)) as (
            _,
            server,
            _,
        ),
        aiohttp.ClientSession() as session,
    ):
        body = {"model": "solo", "input": "hi", "stream": True}
        async with session.post(f"{server.url}/v1/responses", json=body) as response:
            text = await response.text()
    assert ": heartbeat\n\n" in text
    assert text.endswith("data: [DONE]\n\n")


async def test_results_of_the_clients_tools_continue_the_response_that_called_them(tmp_path: Path) -> None:
    """Alone, or with the items before them; the model is told a proper pair each time."""
    script = [ScriptedAnswer(Call("add", {"a": 2}, "call_7")), ScriptedAnswer("Four."), ScriptedAnswer("Five.")]
    async with ScriptedProvider() as provider:
        provider.script(*script)
        team = TeamConfig(id="solo", factory="tests.kit.sample_teams:solo", client_tools=True)
        async with serving(config_for(provider.base_url, team), tmp_path) as server, client_of(server) as one:
            client: Any = one
            tools = [{"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}]
            first = await client.responses.create(model="solo", input="two and two?", tools=tools)
            (call,) = first.output
            assert (call.type, call.name, call.arguments, first.status) == (
                "function_call",
                "add",
                '{"a": 2}',
                "completed",
            )
            result = {"type": "function_call_output", "call_id": call.call_id, "output": "4"}
            ids = {"previous_response_id": first.id}
            alone = await client.responses.create(model="solo", input=[result], tools=tools, **ids)
            asked = {"role": "user", "content": "two and two?"}
            again = await client.responses.create(model="solo", input=[asked, call.to_dict(), result], tools=tools)
            with pytest.raises(openai.BadRequestError, match=r"input\[0\].call_id"):
                await client.responses.create(model="solo", input=[result], tools=tools)
    assert (alone.output_text, again.output_text) == ("Four.", "Five.")
    for exchange in provider.exchanges[1:]:
        roles = [message["role"] for message in exchange.body["messages"] if message["role"] != "system"]
        assert roles == ["user", "assistant", "tool"]
