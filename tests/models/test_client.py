"""The client in a run and outside of one: what the sink hears, what AutoGen gets, and how a call is cancelled."""

import asyncio
import gc
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, cast

import pytest
from autogen_core import CancellationToken, FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from PIL import Image as PillowImage
from pydantic import BaseModel

from aiostream_server.errors import ModelFailed
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.provider import TextDelta, ThoughtDelta
from tests.kit.scripted_provider import (
    BreakOff,
    Call,
    HttpError,
    Raw,
    Reply,
    ScriptedAnswer,
    ScriptedProvider,
    Stall,
    Think,
)
from tests.models.recording import RecordingSink, scripted_client, sink_in_context

HELLO: list[LLMMessage] = [UserMessage(content="hello", source="user")]


class Verdict(BaseModel):
    ok: bool


def add(a: int, b: int) -> int:
    return a + b


ADD = FunctionTool(add, description="Adds")


async def test_outside_a_run_chunks_and_then_the_result() -> None:
    """Reasoning is no chunk; it is the result's thought."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("<th", "ink>hm</think>\n\nHel", Think(["!"]), "lo"))
        items = [item async for item in client.create_stream(HELLO)]
    assert items[:-1] == ["Hel", "lo"]
    result = items[-1]
    assert isinstance(result, CreateResult)
    assert (result.content, result.thought, result.finish_reason) == ("Hello", "hm!", "stop")
    assert result.usage == RequestUsage(11, 7)


class _NarrowSink(RecordingSink):
    """Is full for 0.1 s once it heard three tokens. Notes of each `say` whether a task was woken for it."""

    def __init__(self) -> None:
        super().__init__()
        self.in_a_task: list[bool] = []
        self.heard_when_full = 0

    def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        self.in_a_task.append(asyncio.current_task() is not None)
        if len(self.heard) + len(deltas) == 3:
            self.gate = asyncio.Event()
            asyncio.get_running_loop().call_later(0.1, self._open, self.gate)
        return super().say(speaker, deltas)

    def _open(self, gate: asyncio.Event) -> None:
        self.heard_when_full = len(self.heard)
        gate.set()


async def test_no_task_wakes_for_a_token_on_its_way_to_the_sink() -> None:
    """But for the first, which may come with the headers, and for those that come while the sink is full."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer(*"abcdef", pause_s=0.02))
        with sink_in_context(_NarrowSink()) as sink:
            await client.create(HELLO)
    assert sink.texts(None) == "abcdef"
    assert sink.in_a_task[1:3] == [False, False]
    assert any(sink.in_a_task[3:])
    assert sink.heard_when_full <= 4  # no more than what woke the task


async def test_in_a_run_the_sink_hears_and_autogen_gets_the_result_alone() -> None:
    """The same for both ways to ask."""
    expected: list[tuple[object, ...]] = [
        ("thought", None, "hm"),
        ("text", None, "Hello"),
        ("text", None, " "),
        ("text", None, "<"),
        ("said", None, "Hello <", "hm", [], "stop"),
        ("spent", None, 11, 7),
    ]
    async with scripted_client() as (provider, client):
        provider.script(*[ScriptedAnswer("<think>hm</think>", "Hello", " <", pause_s=0.02)] * 2)
        with sink_in_context(RecordingSink()) as sink:
            items = [item async for item in client.create_stream(HELLO)]
            result = await client.create(HELLO)
    assert items == [result]
    assert sink.heard == expected * 2


async def test_tool_calls_become_the_content_and_words_the_thought() -> None:
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer(Think(["Sum?"]), "Let me add.", Call("add", {"a": 1}), finish="stop"))
        with sink_in_context(RecordingSink()) as sink:
            result = await client.create(HELLO, tools=[ADD], tool_choice=ADD)
    assert result.content == [FunctionCall("call_1", '{"a": 1}', "add")]
    assert (result.thought, result.finish_reason) == ("Sum?\n\nLet me add.", "function_calls")
    assert sink.heard[-2] == ("said", None, "Let me add.", "Sum?", ["add"], "stop")
    sent = provider.exchanges[0].body
    assert sent["tools"][0]["function"]["parameters"]["required"] == ["a", "b"]
    assert sent["tool_choice"]["function"]["name"] == "add"


async def test_calls_get_ids_and_arguments() -> None:
    """AutoGen finds results by id: none may be empty, none may be there twice."""
    calls = [
        Call("add", "", call_id="", index=0),
        Call("add", " ", call_id="x", index=1),
        Call("add", call_id="x", index=2),
    ]
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer(*calls))
        content = (await client.create(HELLO)).content
    made = [call for call in content if isinstance(call, FunctionCall)]
    assert [call.arguments for call in made] == ["{}", "{}", "{}"]
    assert made[1].id == "x"
    assert len({call.id for call in made if call.id}) == 3


async def test_nameless_call() -> None:
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer(Call("")))
        with pytest.raises(ModelFailed, match="called a tool without saying which one"):
            await client.create(HELLO)


@pytest.mark.parametrize("finish", ["length", "content_filter", "tool_calls"])
async def test_finish_reasons(finish: str) -> None:
    """One that announces calls and makes none has stopped."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("hi", finish=finish))
        assert (await client.create(HELLO)).finish_reason == {"tool_calls": "stop"}.get(finish, finish)


async def test_structured_output_is_not_said() -> None:
    """A JSON verdict is for a program; its cost counts."""
    async with scripted_client(model_info={"structured_output": True}) as (provider, client):
        provider.script(*[ScriptedAnswer('{"ok":', "true}")] * 2)
        with sink_in_context(RecordingSink(options={"max_tokens": 3})) as sink:
            await client.create(HELLO, json_output=Verdict)
            result = await client.create(HELLO, json_output=True)
    assert result.content == '{"ok":true}'
    assert [said[0] for said in sink.heard] == ["spent", "spent"]
    assert "max_tokens" not in provider.exchanges[0].body


async def test_speaker_that_is_not_heard() -> None:
    """A selector's words are its own: no options of the client's reach it, either."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("Helper"), ScriptedAnswer("Helper"))
        with sink_in_context(RecordingSink(deaf_to=frozenset({None}), options={"seed": 1})) as sink:
            await client.create(HELLO)
            assert [said[0] for said in sink.heard] == ["spent"]
            await client.speaking_as("A").create(HELLO)
    assert [("seed" in exchange.body) for exchange in provider.exchanges] == [False, True]
    assert sink.texts("A") == "Helper"
    assert [speaker for speaker, _ in sink.called] == [None, "A"], "each call is told, heard or not"


async def test_options_of_the_run_and_of_the_call() -> None:
    """What the agent's own code asks for goes before what the client of the run wants."""
    async with scripted_client(options={"seed": 1, "top_p": 1}) as (provider, client):
        provider.script(ScriptedAnswer("hi"))
        with sink_in_context(RecordingSink(options={"seed": 2, "temperature": 0})):
            await client.create(HELLO, extra_create_args={"temperature": 1})
    body = provider.exchanges[0].body
    assert (body["seed"], body["top_p"], body["temperature"]) == (2, 1, 1)


async def test_tool_results_are_told_first() -> None:
    """Those that the request ends with, in their order; older ones were told before."""

    def results(*contents: str) -> FunctionExecutionResultMessage:
        return FunctionExecutionResultMessage(
            content=[FunctionExecutionResult(content=text, name="add", call_id=text) for text in contents]
        )

    calls = AssistantMessage(content=[FunctionCall("2", "{}", "add")], source="A")
    messages = [*HELLO, calls, results("old"), calls, results("2", "3"), results("4")]
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("done"), ScriptedAnswer("again"))
        with sink_in_context(RecordingSink()) as sink:
            await client.create(messages)
            assert sink.heard[0] == ("returned", None, ["2", "3", "4"])
            await client.create([*messages, *HELLO])
    assert [said[0] for said in sink.heard].count("returned") == 1


async def test_usage_is_estimated_where_it_was_not_said() -> None:
    """A delta is a token; four characters of the prompt are one."""
    picture = Image(PillowImage.new("RGB", (2, 2)))
    messages: list[LLMMessage] = [
        UserMessage(content=["x" * 400, picture], source="user"),
        AssistantMessage(content=[FunctionCall("1", "{}", "add")], thought="y" * 40, source="A"),
        FunctionExecutionResultMessage(content=[FunctionExecutionResult(content="z" * 40, name="add", call_id="1")]),
    ]
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("a", "b", "c", usage=None))
        usage = (await client.create(messages)).usage
        assert usage.completion_tokens == 3
        assert usage.prompt_tokens == client.count_tokens(messages) == 898
        assert client.count_tokens(messages, tools=[ADD]) > 898
        assert client.remaining_tokens(messages) == 128_000 - 898
        assert client.total_usage() == client.actual_usage() == usage
        assert client.speaking_as("A").total_usage() == usage
        assert client.capabilities == client.model_info


async def test_what_the_model_cannot_do_is_refused() -> None:
    async with scripted_client(model_info={"json_output": False}) as (_, client):
        with pytest.raises(ValueError, match="does not support JSON output"):
            await client.create(HELLO, json_output=True)
        said = r"does not support structured output; if it does, say model_info = \{ structured_output = true \} of it"
        with pytest.raises(ValueError, match=said):
            await client.create(HELLO, json_output=Verdict)
        with pytest.raises(ValueError, match="tool_choice names 'add'"):
            await client.create(HELLO, tool_choice=ADD)


async def test_failure_reaches_the_caller_both_ways() -> None:
    async with scripted_client() as (provider, client):
        provider.script(*[HttpError(400, "no luck")] * 3)
        with pytest.raises(ModelFailed, match="answered 400 Bad Request: no luck"):
            await client.create(HELLO)
        with pytest.raises(ModelFailed, match="no luck"):
            _ = [item async for item in client.create_stream(HELLO)]
        with sink_in_context(RecordingSink()) as sink, pytest.raises(ModelFailed, match="no luck"):
            _ = [item async for item in client.create_stream(HELLO)]
        assert sink.heard == [("spent", None, 0, 0), ("failed", "model_failed")]


async def test_tokens_reach_the_sink_as_they_leave() -> None:
    """Each token is heard before the next one leaves the provider."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("a", "b", "c", pause_s=0.1))
        with sink_in_context(RecordingSink()) as sink:
            await client.create(HELLO)
    left = provider.exchanges[0].left
    assert len(sink.at) == 3
    assert all(heard < next_left for heard, next_left in zip(sink.at, left[1:], strict=False))


async def test_tokens_that_came_together_are_said_together() -> None:
    """Batches all the way: no call, task or wait for each token."""
    events = b"".join(b'data: {"choices":[{"delta":{"content":"t%d"}}]}\n\n' % number for number in range(100))
    async with scripted_client() as (provider, client):
        provider.script(Raw([events + b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n']))
        with sink_in_context(RecordingSink()) as sink:
            await client.create(HELLO)
    assert len(sink.at) <= 2
    assert sink.texts(None) == "".join(f"t{number}" for number in range(100))


async def test_two_runs_hear_only_their_own() -> None:
    """One client, two runs at once, each in a context of its own."""

    async def run(question: str) -> RecordingSink:
        with sink_in_context(RecordingSink()) as sink:
            await client.create([UserMessage(content=question, source="user")])
        return sink

    def echo(body: Any) -> ScriptedAnswer:
        return ScriptedAnswer(*[body["messages"][0]["content"]] * 5, pause_s=0.02)

    async with scripted_client() as (provider, client):
        provider.script(echo)
        one, two = await asyncio.gather(run("one"), run("two"))
    assert (one.texts(None), two.texts(None)) == ("one" * 5, "two" * 5)


async def test_words_that_are_not_shown_are_signs_of_life() -> None:
    """A long tool call, a JSON verdict, a selector's answer: none of them is silence."""
    async with scripted_client() as (provider, client):
        provider.script(
            ScriptedAnswer(Call("add", '{"a": 1}', pieces=4), pause_s=0.03),
            *[ScriptedAnswer(*"abcd", pause_s=0.03)] * 2,
        )
        lives = []
        for deaf_to, json_output in ((frozenset(), None), (frozenset(), True), (frozenset({None}), None)):
            with sink_in_context(RecordingSink(deaf_to=deaf_to)) as sink:
                await client.create(HELLO, tools=[ADD], json_output=json_output)
            assert [said[0] for said in sink.heard if said[0] in ("text", "thought")] == []
            lives.append(sink.signs_of_life)
    assert all(signs >= 4 for signs in lives)


def spent(sink: RecordingSink) -> list[tuple[Any, ...]]:
    return [said[2:] for said in sink.heard if said[0] == "spent"]


async def settle() -> None:
    """Give what was sent the turns of the event loop that it needs to arrive: provider and client share the loop."""
    for _ in range(30):
        await asyncio.sleep(0.004)


async def end_early(answer: Reply, tokens: int, *, deaf: bool = False) -> RecordingSink:
    """A call in a run that is cancelled when so many tokens have left, unless it failed before."""
    async with scripted_client() as (provider, client):
        provider.script(answer)
        with sink_in_context(RecordingSink(deaf_to=frozenset({None} if deaf else ()))) as sink:
            caller = asyncio.create_task(client.create(HELLO))
        await (await provider.request()).sent(tokens)
        await settle()
        caller.cancel()
        with pytest.raises((asyncio.CancelledError, ModelFailed)):
            await caller
        total = client.total_usage()
    assert spent(sink) in ([], [(total.prompt_tokens, total.completion_tokens)])
    return sink


PROMPT_TOKENS = 5  # of HELLO, by our estimate


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize(
    ("answer", "tokens", "cost"),
    [
        pytest.param(ScriptedAnswer("a", before_s=30), 0, (PROMPT_TOKENS, 0), id="cancelled before the first token"),
        pytest.param(ScriptedAnswer("a", "b", Stall()), 2, (PROMPT_TOKENS, 2), id="cancelled between tokens"),
        pytest.param(
            ScriptedAnswer(Think(["hm"]), Call("f", pieces=2), Stall()), 4, (PROMPT_TOKENS, 4), id="in a tool call"
        ),
        pytest.param(ScriptedAnswer("a", BreakOff()), 1, (PROMPT_TOKENS, 1), id="the provider breaks off"),
        pytest.param(ScriptedAnswer(Call("", "{}", pieces=1)), 1, (11, 7), id="an answer that is of no use"),
    ],
)
async def test_what_was_cut_off_has_its_cost(
    answer: ScriptedAnswer, tokens: int, cost: tuple[int, int], deaf: bool
) -> None:
    """Told once, also while the call is being cancelled; by the provider's own count, where there is one."""
    assert spent(await end_early(answer, tokens, deaf=deaf)) == [cost]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(HttpError(400, "no"), ["model_failed"], id="refused"),
        pytest.param(HttpError(429, "busy", {"Retry-After": "9"}), [], id="cancelled while it waits to ask again"),
        pytest.param(Raw([], complete=False), ["model_failed"], id="broken off before anything came"),
    ],
)
async def test_what_the_provider_did_nothing_for_costs_nothing(answer: Reply, told: list[str]) -> None:
    """A failed call is told of with its error."""
    sink = await end_early(answer, 0)
    assert spent(sink) == [(0, 0)] * len(told)
    assert [facts.error for facts in sink.facts] == told


async def test_facts_of_a_call() -> None:
    """Sizes are those of the wire; times count from the call's beginning."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("a", "b", before_s=0.05, pause_s=0.05))
        with sink_in_context(RecordingSink()) as sink:
            await client.create(HELLO)
    [facts] = sink.facts
    assert facts.request_bytes == int(provider.exchanges[0].headers["Content-Length"])
    assert facts.answer_bytes > len('"a""b"')
    assert facts.error is None
    assert facts.first_token_s is not None
    assert 0.04 <= facts.first_token_s < facts.duration_s


async def test_cost_of_a_call_that_is_cancelled_while_its_run_is_full() -> None:
    """Cancelled while it waits for the viewers: what had arrived counts."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("a", Stall()))
        with sink_in_context(RecordingSink(gate=asyncio.Event())) as sink:
            caller = asyncio.create_task(client.create(HELLO))
        await sink.spoken.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert spent(sink) == [(PROMPT_TOKENS, 1)]


PHASES = [
    pytest.param(ScriptedAnswer("a", before_s=30), 0, id="before the headers"),
    pytest.param(ScriptedAnswer(*"abcdefgh" * 100, pause_s=0.05), 2, id="between tokens"),
    pytest.param(ScriptedAnswer("a", Stall()), 1, id="in a stall"),
]


async def assert_gone(provider: ScriptedProvider) -> None:
    """The provider's connection closes long before the answer ends, and no task is left."""
    exchange = provider.exchanges[0]
    await asyncio.wait_for(exchange.closed.wait(), 10)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "model-call"] == []


async def consume(client: StreamingClient, token: CancellationToken | None, stream: bool) -> None:
    if not stream:
        await client.create(HELLO, cancellation_token=token)
        return
    async with aclosing(client.create_stream(HELLO, cancellation_token=token)) as items:
        async for _ in items:
            pass


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("in_run", [False, True])
@pytest.mark.parametrize("by_token", [False, True])
@pytest.mark.parametrize(("answer", "tokens"), PHASES)
async def test_cancelling_closes_the_connection(
    answer: ScriptedAnswer, tokens: int, by_token: bool, in_run: bool, stream: bool
) -> None:
    """By AutoGen's token or by cancelling the task, in a run or not, in each phase of an answer."""
    async with scripted_client() as (provider, client):
        provider.script(answer)
        token = CancellationToken()
        sink = RecordingSink() if in_run else None
        with sink_in_context(sink):
            caller = asyncio.create_task(consume(client, token, stream))
        await (await provider.request()).sent(tokens)
        if by_token:
            token.cancel()
        else:
            caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await assert_gone(provider)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_token_cancels_the_call_and_not_its_caller(stream: bool) -> None:
    """Though the call has no task of its own: a team that catches the cancellation goes on."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("a", Stall()))
        token = CancellationToken()

        async def call() -> int:
            with pytest.raises(asyncio.CancelledError):
                await consume(client, token, stream)
            await asyncio.sleep(0)
            return cast("asyncio.Task[int]", asyncio.current_task()).cancelling()

        with sink_in_context(RecordingSink()):
            caller = asyncio.create_task(call())
        await (await provider.request()).sent(1)
        token.cancel()
        assert await caller == 0


async def test_cancelled_while_the_run_is_behind() -> None:
    """A sink that makes the call wait does not keep it alive."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("a", Stall()))
        with sink_in_context(RecordingSink(gate=asyncio.Event())) as sink:
            caller = asyncio.create_task(client.create(HELLO))
        await sink.spoken.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await assert_gone(provider)


async def test_token_that_is_cancelled_already() -> None:
    async with scripted_client() as (provider, client):
        token = CancellationToken()
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client.create(HELLO, cancellation_token=token)
        assert provider.exchanges == []


async def test_closed_generator_closes_the_connection() -> None:
    """Closing an ordinary stream stops the provider."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("a", Stall()))
        async with aclosing(client.create_stream(HELLO)) as items:
            assert await anext(items) == "a"
        await assert_gone(provider)


async def test_closed_generator_of_a_failed_call() -> None:
    """Its error is marked as retrieved: asyncio does not log it."""
    async with scripted_client() as (provider, client):
        provider.script(Raw([b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {\n\n']))
        async with aclosing(client.create_stream(HELLO)) as items:
            await anext(items)
            await settle()
    gc.collect()


async def test_slow_consumer_holds_the_provider_back() -> None:
    """An ordinary stream reads only so far ahead: the rest waits in the provider's socket."""
    piece = b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % (b"x" * 60_000)
    async with scripted_client() as (provider, client):
        provider.script(Raw([piece] * 2000))
        async with aclosing(client.create_stream(HELLO)) as items:
            await anext(items)
            await asyncio.sleep(0.5)
            assert len(provider.exchanges[0].left) < 1000
