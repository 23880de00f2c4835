"""Calls of the client's tools in a chat completion: as OpenAI's own package reads them, streamed and whole."""

import json
from collections.abc import Sequence

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_message_function_tool_call import ChatCompletionMessageFunctionToolCall

from aiostream_server.events import Entry, Event, Message, RunFinished, Token, TokenCount, ToolRequested
from aiostream_server.present import Page, new_presenter
from aiostream_server.protocols.chat.chunks import ChunkEncoder
from aiostream_server.protocols.chat.open_webui import PageFrames
from aiostream_server.protocols.chat.stream import ChatFrames
from aiostream_server.protocols.chat.tool_calls import Calls
from aiostream_server.protocols.chat.whole import CompletionCollector
from aiostream_server.runs.card import RunCard

LONG = json.dumps({"text": "x" * 9_000 + "\u2028 ü"})
RUN: Sequence[Event] = (
    Token("A", "Let me ", "final"),
    Token("A", "look.", "final"),
    Message("A", "Let me look.", streamed=True),
    ToolRequested("A", "weather", '{"city":"Oslo"}', "call-1"),
    ToolRequested("A", "note", LONG, "call-2"),
    RunFinished("tool_calls", TokenCount(3, 4), 0.1),
)


def entries(events: Sequence[Event]) -> list[Entry]:
    return [Entry(number, 0.0, event) for number, event in enumerate(events, 1)]


def completed(calls: Calls = None, events: Sequence[Event] = RUN) -> ChatCompletion:
    card = RunCard("run-1", "auto", None, None, "cancel", 1.5, 0, None, None)
    collector = CompletionCollector(card, new_presenter("answer"), calls=calls)
    collector.add(entries(events))
    return ChatCompletion.model_validate_json(collector.body())


def chunks(page: PageFrames | None = None) -> list[str]:
    presenter = new_presenter("answer", None if page is None else Page())
    frames = ChatFrames(presenter, ChunkEncoder("id", 1, "m"), include_usage=False, page=page)
    lines = (frames.opening(at_end=False) + frames.encode(entries(RUN))).decode("ascii").split("\n\n")
    return [line.removeprefix("data: ") for line in lines[:-2]]


def called(completion: ChatCompletion) -> list[tuple[str, str, str]]:
    calls = completion.choices[0].message.tool_calls or []
    assert all(isinstance(call, ChatCompletionMessageFunctionToolCall) for call in calls)
    return [
        (call.id, call.function.name, call.function.arguments)
        for call in calls
        if isinstance(call, ChatCompletionMessageFunctionToolCall)
    ]


EXPECTED = [("call-1", "weather", '{"city":"Oslo"}'), ("call-2", "note", LONG)]


def test_a_whole_completion_has_the_words_and_the_calls() -> None:
    completion = completed()
    assert called(completion) == EXPECTED
    assert completion.choices[0].message.content == "Let me look."
    assert completion.choices[0].finish_reason == "tool_calls"


def test_a_stream_adds_up_to_the_same() -> None:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for line in chunks():
        state.handle_chunk(ChatCompletionChunk.model_validate_json(line))
    completion = state.get_final_completion()
    assert called(completion) == EXPECTED
    assert completion.choices[0].message.content == "Let me look."
    assert completion.choices[0].finish_reason == "tool_calls"
    assert max(map(len, chunks())) < 60_000


def test_a_call_that_the_request_named_ends_with_stop_as_openai_has_it() -> None:
    assert completed("named").choices[0].finish_reason == "stop"
    assert completed("chosen").choices[0].finish_reason == "tool_calls"


def test_without_words_the_content_is_null() -> None:
    assert completed(events=RUN[3:]).choices[0].message.content is None


def test_a_page_is_told_that_a_tool_is_called_and_not_that_the_answer_is_done() -> None:
    statuses = [json.loads(line)["event"]["data"] for line in chunks(PageFrames()) if "event" in json.loads(line)]
    assert [status["description"] for status in statuses][-2:] == ["A is calling weather…", "A is calling note…"]
    assert not any("done" in status for status in statuses)
