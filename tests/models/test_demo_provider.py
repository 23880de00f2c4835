"""The demo model streams like a model: word by word, at its pace, concurrently, within the limits of the request."""

import asyncio
import json
import selectors
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.demo.conversation import LABEL, shorten
from aiostream_server.models.demo.provider import DemoProvider
from aiostream_server.models.demo.skills import decide
from aiostream_server.models.provider import CallDelta, ModelRequest, TextDelta
from tests.models.demo import CALCULATOR, DATABASE, answer, ask, called, returned, user

HELLO = ModelRequest([user("Hello")], tools=CALCULATOR)


async def test_tokens_are_words_and_lose_nothing() -> None:
    said = await ask(HELLO)
    words = [delta.text for delta in said.deltas if isinstance(delta, TextDelta)]
    assert said.text == decide(HELLO).text
    assert len(words) == len(said.text.split())
    assert all(len(word.split()) == 1 for word in words)


async def test_answer_ends_with_usage() -> None:
    said = await ask(HELLO)
    assert said.end.finish_reason == "stop"
    assert said.end.usage is not None
    assert said.end.usage.prompt_tokens == 1
    assert said.end.usage.completion_tokens == len(said.deltas) - 1


async def test_arguments_come_in_pieces_under_one_call() -> None:
    said = await answer(user("What is 17 plus 25?"), tools=CALCULATOR)
    calls = [delta for delta in said.deltas if isinstance(delta, CallDelta)]
    assert json.loads(said.arguments) == {"expression": "17 + 25"}
    assert (calls[0].name, said.end.finish_reason) == ("calculate", "function_calls")
    assert calls[0].call_id
    assert not any(delta.call_id or delta.name for delta in calls[1:])
    assert len(calls) > 2
    again = await answer(user("What is 17 plus 25?"), tools=CALCULATOR)
    assert calls[0] != again.deltas[0], "call ids are unique"


@pytest.mark.parametrize(("options", "tokens"), [({"max_tokens": 3}, 3), ({"max_completion_tokens": 1}, 1)])
async def test_max_tokens_cuts_the_answer(options: dict[str, Any], tokens: int) -> None:
    said = await ask(ModelRequest([user("Hello")], options=options))
    assert len(said.deltas) == tokens + 1
    assert said.end.finish_reason == "length"


async def test_room_for_the_whole_answer_is_no_cut() -> None:
    said = await ask(ModelRequest([user("Hello")], options={"max_tokens": 1000, "temperature": 0.1}))
    assert said.end.finish_reason == "stop"


class SimulatedTime(selectors.SelectSelector):
    """A selector for an event loop that waits in simulated time: no machine is too slow for it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0
        return super().select(0)


def simulated_loop() -> asyncio.AbstractEventLoop:
    time = SimulatedTime()
    loop = asyncio.SelectorEventLoop(time)
    loop.time = lambda: time.now  # type: ignore[method-assign]
    return loop


def test_pace_is_kept_without_drift() -> None:
    """At 40 tokens a second the 20th token comes 0.475 s after the first, with a slow reader, too."""
    arrivals: list[float] = []

    async def read() -> None:
        request = ModelRequest([user("Tell me a story of a long winter")], options={"max_tokens": 20})
        async for batch in DemoProvider(tokens_per_s=40).stream(request):
            now = asyncio.get_running_loop().time()
            arrivals.extend([now] * sum(isinstance(delta, TextDelta) for delta in batch))
            await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=simulated_loop) as runner:
        runner.run(read())
    assert len(arrivals) == 20
    assert arrivals[-1] == pytest.approx(0.475, abs=0.011)


async def test_a_late_reader_gets_what_is_due_at_once() -> None:
    sizes: list[int] = []
    async for batch in DemoProvider(tokens_per_s=100).stream(HELLO):
        sizes.append(len(batch))
        await asyncio.sleep(0.05 if len(sizes) == 1 else 0)
    assert sizes[1] >= 4


async def test_unpaced_answers_let_others_run() -> None:
    """A stream that is read without a pause yields to the event loop."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await ask(ModelRequest([user("word " * 40)], tools=CALCULATOR))
    task.cancel()
    assert turns >= 2


async def test_paced_answer_can_be_cancelled() -> None:
    task = asyncio.create_task(ask(HELLO, DemoProvider(tokens_per_s=1)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_concurrent_answers_do_not_mix() -> None:
    provider = DemoProvider(tokens_per_s=200)
    sums = [ModelRequest([user(f"What is {n} plus 1?")], tools=CALCULATOR) for n in range(20)]
    answers = await asyncio.gather(*(ask(request, provider) for request in sums))
    assert [json.loads(one.arguments)["expression"] for one in answers] == [f"{n} + 1" for n in range(20)]
    await provider.close()


def test_what_the_model_can_do() -> None:
    info = DemoProvider().model_info
    assert info["family"] == "demo"
    assert (info["function_calling"], info["json_output"], info["vision"]) == (True, True, False)


async def test_tool_choice_limits_the_tools() -> None:
    question = [user("What is 2 + 2?")]
    none = await ask(ModelRequest(question, tools=CALCULATOR, tool_choice="none"))
    named = await ask(ModelRequest(question, tools=[*DATABASE, *CALCULATOR], tool_choice="calculate"))
    assert (none.tool, named.tool) == ("", "calculate")


TABLE = "| region | total |\n| --- | ---: |\n| West | 12 |\n| East | 9 |"


@pytest.mark.parametrize(
    "request_",
    [
        HELLO,
        ModelRequest([]),
        ModelRequest([user("What is 2 + 2?"), called("calculate"), returned("calculate", "4")]),
        ModelRequest([user("nothing here")], tools=CALCULATOR),
        ModelRequest([user("Which region?"), user(TABLE)]),
        ModelRequest(
            [user("weather?"), called("schema"), returned("schema", "CREATE TABLE t (a TEXT);")], tools=DATABASE
        ),
        ModelRequest(
            [user("list t"), called("schema"), returned("schema", "CREATE TABLE t (a TEXT);")], tools=DATABASE
        ),
        ModelRequest([user("x")], json_output=True),
    ],
)
async def test_every_answer_in_words_carries_the_label_once(request_: ModelRequest) -> None:
    """Every answer in words carries the label, exactly once."""
    assert (await ask(request_)).text.count(LABEL) == 1


@given(st.text(max_size=300), st.sampled_from([[], CALCULATOR, DATABASE]), st.booleans())
def test_any_question_gets_a_reply(question: str, tools: list[Any], json_output: bool) -> None:
    reply = decide(ModelRequest([user(question)], tools=tools, json_output=json_output))
    assert reply.text or reply.tool


@given(st.text(max_size=400))
def test_a_shortened_text_is_one_short_line(text: str) -> None:
    assert "\n" not in shorten(text)
    assert len(shorten(text)) <= 165
