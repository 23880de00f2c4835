"""Our client against `autogen_ext`'s: the same stream gives the same `CreateResult`, but for that one's known bugs.

The streams are random, in the shapes that both support, cut anywhere, and come over a real socket. What the two are
known to differ in is listed below, with what each of them makes of it: a bug that is gone fails its test, too.
"""

import asyncio
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from autogen_core import FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from aiostream_server.errors import ModelFailed
from aiostream_server.models.openai.component import OpenAIChatClient
from tests.kit.scripted_provider import Raw, ScriptedProvider

HELLO: Final[list[LLMMessage]] = [UserMessage(content="hello", source="user")]
INFO: Final = ModelInfo(vision=True, function_calling=True, json_output=True, family="unknown", structured_output=True)
ENVELOPE: Final = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE: Final = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@dataclass(frozen=True, slots=True)
class Both:
    """The two clients of one provider, and the loop that they live in."""

    runner: asyncio.Runner
    provider: ScriptedProvider
    ours: ChatCompletionClient
    theirs: ChatCompletionClient

    def answer(self, client: ChatCompletionClient, *pieces: bytes) -> tuple[str, CreateResult]:
        """The chunks of text, put together, and the result."""

        async def stream() -> list[str | CreateResult]:
            self.provider.script(Raw(pieces))
            return [item async for item in client.create_stream(HELLO, tools=[{"name": "f"}])]

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs warns of empty answers
            *chunks, result = self.runner.run(stream())
        assert isinstance(result, CreateResult)
        return "".join(map(str, chunks)), result


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with asyncio.Runner() as runner:
        provider = runner.run(ScriptedProvider().__aenter__())
        settings: dict[str, Any] = {"model": "m", "base_url": provider.base_url, "api_key": "k", "model_info": INFO}
        clients = OpenAIChatClient(**settings, max_retries=0), OpenAIChatCompletionClient(**settings, max_retries=0)
        yield Both(runner, provider, *clients)
        for client in clients:
            runner.run(client.close())
        runner.run(provider.__aexit__(None, None, None))


@dataclass(frozen=True, slots=True)
class Wording:
    """How a provider writes what it says."""

    line_end: str = "\n"
    field: str = "data: "
    padding: str = ""  # between two events
    nulls: bool = False  # everything that could stand in a delta does, as null
    annotated: bool = False  # Azure's first chunk
    finish_alone: bool = True
    usage_choice: bool = False  # LiteLLM's usage chunk has a choice
    done: bool = True


@dataclass(frozen=True, slots=True)
class Said:
    thoughts: Sequence[str] = ()
    texts: Sequence[str] = ()
    calls: Sequence[Mapping[str, Any]] = ()  # pieces
    finish: str | None = "stop"

    def deltas(self) -> list[Mapping[str, Any]]:
        thoughts = [{"reasoning_content": thought} for thought in self.thoughts]
        return [
            {"role": "assistant", "content": ""},
            *thoughts,
            *({"content": text} for text in self.texts),
            *({"tool_calls": [piece]} for piece in self.calls),
        ]


def stream_of(said: Said, wording: Wording = Wording()) -> bytes:
    nulls = {"content": None, "tool_calls": None, "refusal": None} if wording.nulls else {}
    deltas = [{**nulls, **delta} for delta in said.deltas()]
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None} for delta in deltas
    ]
    if wording.finish_alone:
        choices.append({"index": 0, "delta": {}, "finish_reason": said.finish})
    else:
        choices[-1]["finish_reason"] = said.finish
    chunks: list[Mapping[str, Any]] = [{"choices": [choice]} for choice in choices]
    if wording.annotated:
        chunks.insert(0, {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "id": "", "model": ""})
    chunks.append({"choices": [{"index": 0, "delta": {}}] if wording.usage_choice else [], "usage": USAGE})
    events = [json.dumps({**ENVELOPE, **chunk}, ensure_ascii=False) for chunk in chunks]
    if wording.done:
        events.append("[DONE]")
    end = wording.line_end * 2
    text = "".join(f"{wording.padding}{wording.field}{event}{end}" for event in events)
    return text.encode()


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
tokens = st.one_of(
    words, st.sampled_from(["<", "<th", "ink>", "</think>", "`", "\u2028", "\x85", "🎯", "data: [DONE]"])
)
arguments = st.dictionaries(words, st.one_of(words, st.integers(), st.none()), max_size=3).map(json.dumps)


@st.composite
def calls(draw: st.DrawFn) -> list[Mapping[str, Any]]:
    """One to three calls, with their pieces in any order that keeps each call's own. The calls' order is of arrival."""
    queues = []
    for index in range(draw(st.integers(1, 3))):
        text = draw(arguments)
        cut = draw(st.integers(0, len(text)))
        first = {"index": index, "id": f"call_{index}", "type": "function"}
        pieces = [{**first, "function": {"name": "f", "arguments": ""}}]
        pieces += [{"index": index, "function": {"arguments": part}} for part in (text[:cut], text[cut:])]
        queues.append(pieces)
    order = draw(st.permutations([number for number, pieces in enumerate(queues) for _ in pieces]))
    return [queues[number].pop(0) for number in order]


@st.composite
def answers(draw: st.DrawFn) -> Said:
    texts = draw(st.lists(tokens, max_size=5))
    assume("<think" not in "".join(texts) and "</think" not in "".join(texts))
    if draw(st.booleans()):
        return Said((), texts, draw(calls()), "tool_calls")
    thoughts = draw(st.lists(tokens, max_size=4))
    assume("</think" not in "".join(thoughts))
    if thoughts:  # theirs cuts off these letters at the ends: see below
        thoughts = ["So", *thoughts, "."]
    return Said(
        thoughts, texts, (), draw(st.sampled_from(["stop", "length", "content_filter", "load", "end_turn", None]))
    )


wordings = st.builds(
    Wording,
    line_end=st.sampled_from(["\n", "\r\n"]),
    field=st.sampled_from(["data: ", "data:"]),
    padding=st.sampled_from(["", ": OPENROUTER PROCESSING\n\n", "event: message\nid: 1\n"]),
    nulls=st.booleans(),
    annotated=st.booleans(),
    finish_alone=st.booleans(),
    usage_choice=st.booleans(),
    done=st.booleans(),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(said=answers(), wording=wordings, data=st.data())
def test_same_stream_same_result(both: Both, said: Said, wording: Wording, data: st.DataObject) -> None:
    assume(said.finish or wording.done)  # else it broke off: see below
    stream = stream_of(said, wording)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    our_text, ours = both.answer(both.ours, *pieces)
    their_text, theirs = both.answer(both.theirs, *pieces)
    assert ours == theirs
    assert our_text == "".join(said.texts)
    if not said.thoughts:  # theirs has them in its text, as <think> tags
        assert our_text == their_text


F: Final = {"name": "f", "arguments": "{}"}
CALL: Final = {"index": 0, "id": "1", "function": F}
SAYS_HI: Final = stream_of(Said(texts=["hi"]))
HI: Final = CreateResult(content="hi", finish_reason="stop", usage=RequestUsage(11, 7), cached=False)


def chunks(*chunks: Mapping[str, Any]) -> bytes:
    return b"".join(f"data: {json.dumps({**ENVELOPE, **chunk})}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"


def choice(delta: Mapping[str, Any] | None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **fields}]}


STOP: Final = choice({}, "stop")
CALLS: Final = choice({}, "tool_calls")
COUNTED: Final = {"choices": [], "usage": USAGE}
LOGPROBS: Final = {"content": [{"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}]}


@dataclass(frozen=True, slots=True)
class Bug:
    """`field` of the result: what it is for us and for them."""

    name: str
    stream: bytes
    field: str
    ours: Any
    theirs: Any


def called(*calls: tuple[str, str, str]) -> list[FunctionCall]:
    return [FunctionCall(call_id, arguments, name) for call_id, name, arguments in calls]


BUGS: Final = [
    Bug("cuts letters off thoughts", stream_of(Said(["let me think"], ["hi"])), "thought", "let me think", "let me "),
    Bug(
        "has tags in what is thought in two parts",
        chunks(choice({"reasoning_content": "A"}), choice({"content": "hi"}), choice({"reasoning_content": "B"}), STOP),
        "thought",
        "AB",
        "A</think><think>B",
    ),
    Bug("forgets thoughts beside calls", stream_of(Said(["So."], [], [CALL], "tool_calls")), "thought", "So.", None),
    Bug("does not know `reasoning`", chunks(choice({"reasoning": "So."}), STOP), "thought", "So.", None),
    Bug(
        "leaves <think> in the text",
        stream_of(Said([], ["<think>So.</think>hi"])),
        "content",
        "hi",
        "<think>So.</think>hi",
    ),
    Bug(
        "loses calls beside text",
        chunks(choice({"content": "hi", "tool_calls": [CALL]}), CALLS),
        "content",
        called(("1", "f", "{}")),
        "hi",
    ),
    Bug(
        "makes one call of all that have no index",
        chunks(*(choice({"tool_calls": [{"id": name, "function": {**F, "name": name}}]}) for name in "fg"), CALLS),
        "content",
        called(("f", "f", "{}"), ("g", "g", "{}")),
        called(("fg", "fg", "{}{}")),
    ),
    Bug(
        "makes one call of Ollama's, which are all number 0",
        chunks(*(choice({"tool_calls": [{**CALL, "id": call_id}]}) for call_id in "12"), CALLS),
        "content",
        called(("1", "f", "{}"), ("2", "f", "{}")),
        called(("12", "ff", "{}{}")),
    ),
    Bug(
        "leaves no arguments empty",
        chunks(choice({"tool_calls": [{**CALL, "function": {"name": "f", "arguments": ""}}]}), CALLS),
        "content",
        called(("1", "f", "{}")),
        called(("1", "f", "")),
    ),
    Bug(
        "believes providers that say stop and mean calls",
        chunks(choice({"tool_calls": [CALL]}), STOP),
        "finish_reason",
        "function_calls",
        "stop",
    ),
    Bug(
        "believes providers that announce calls and make none",
        chunks(choice({"content": "hi"}), CALLS),
        "finish_reason",
        "stop",
        "function_calls",
    ),
    Bug(
        "forgets why it ended if it hears the cost then",
        chunks(choice({"content": "hi"}), {**STOP, **COUNTED, **STOP}),
        "finish_reason",
        "stop",
        "unknown",
    ),
    Bug(
        "forgets the cost if anything follows",
        chunks(choice({"content": "hi"}), STOP, COUNTED, {"choices": []}),
        "usage",
        RequestUsage(11, 7),
        RequestUsage(0, 0),
    ),
    Bug("estimates no cost", chunks(choice({"content": "hi"}), STOP), "usage", RequestUsage(8, 1), RequestUsage(0, 0)),
    Bug("shows no refusal", chunks(choice({"refusal": "I can't"}), STOP), "content", "I can't", ""),
    Bug(
        "forgets the logprobs of text",
        chunks(choice({"content": "hi"}, logprobs=LOGPROBS), STOP),
        "logprobs",
        "hi",
        None,
    ),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_known_bug_of_theirs(both: Both, bug: Bug) -> None:
    ours, theirs = (getattr(both.answer(client, bug.stream)[1], bug.field) for client in (both.ours, both.theirs))
    if bug.field == "logprobs":
        ours = "".join(at.token for at in ours)
    assert (ours, theirs) == (bug.ours, bug.theirs)


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (chunks({"choices": [{"index": 0, "finish_reason": None}]}, choice({"content": "hi"}), STOP), AttributeError),
        (chunks(choice(None), choice({"content": "hi"}), STOP), AttributeError),
        (chunks({"choices": None}, choice({"content": "hi"}), STOP), TypeError),
        (chunks(choice({"tool_calls": [{**CALL, "function": {**F, "arguments": {}}}]}), CALLS), TypeError),
    ],
    ids=["no delta (Azure)", "delta is null", "choices is null", "arguments are an object (Ollama)"],
)
def test_what_theirs_falls_over(both: Both, stream: bytes, error: type[Exception]) -> None:
    assert both.answer(both.ours, stream)[1].finish_reason in ("stop", "function_calls")
    with pytest.raises(error):
        both.answer(both.theirs, stream)


def test_theirs_takes_half_an_answer_for_a_whole_one(both: Both) -> None:
    """No finish reason and no `[DONE]`: the provider broke off."""
    half = chunks(choice({"content": "hi"})).removesuffix(b"data: [DONE]\n\n")
    with pytest.raises(ModelFailed, match="broke off"):
        both.answer(both.ours, half)
    assert both.answer(both.theirs, half)[1].content == "hi"
