"""What came with a message goes back with it, to the service that sent it, and within bounds."""

import msgspec
import pytest
from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, LLMMessage, UserMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.intake.json_text import dump, load
from aiostream_server.models.call_memory import CallMemory
from aiostream_server.models.provider import ExtraFields, KeptAnswer

MODEL = "service/model"


def called(call_id: str = "call_0", arguments: str = "{}") -> list[FunctionCall]:
    return [FunctionCall(id=call_id, name="add", arguments=arguments)]


def said(content: str | list[FunctionCall], source: str = "A") -> AssistantMessage:
    return AssistantMessage(content=content, source=source)


def answer(mark: str) -> KeptAnswer:
    return KeptAnswer("", ExtraFields({"mark": mark}, {0: {"signature": mark}}))


def marks(memory: CallMemory, messages: list[LLMMessage], speaker: str | None = "A", origin: str = MODEL) -> list[str]:
    """What goes back with each message; nothing is a dash."""
    found = memory.recall(origin, speaker, messages)
    return [found[at].extra.message["mark"] if at in found else "-" for at in range(len(messages))]


def test_by_call_and_by_message() -> None:
    memory = CallMemory()
    memory.keep(MODEL, "A", called(), answer("call"))
    memory.keep(MODEL, "A", "four", answer("text"))
    messages: list[LLMMessage] = [
        UserMessage(content="four", source="user"),
        said(called()),
        said("four"),
        said("five"),
    ]
    assert marks(memory, messages) == ["-", "call", "text", "-"]
    assert marks(memory, [said(called(arguments='{"a": 1}')), said(called("call_1"))]) == ["-", "-"]


def test_the_last_of_equal_messages_was_said_last() -> None:
    """Providers repeat their call ids in later turns, and the oldest messages leave an agent's context first."""
    memory = CallMemory()
    for mark in ("one", "two", "three"):
        memory.keep(MODEL, "A", called(), answer(mark))
    same = said(called())
    assert marks(memory, [same, same, same, same]) == ["-", "one", "two", "three"]
    assert marks(memory, [same]) == ["three"]


def test_agents_with_equal_messages() -> None:
    """Each gets its own; an agent that was handed another's messages gets those."""
    memory = CallMemory()
    memory.keep(MODEL, "A", called(), answer("A's"))
    memory.keep(MODEL, "B", called(), answer("B's"))
    assert marks(memory, [said(called())], "A") == ["A's"]
    assert marks(memory, [said(called())], "B") == ["B's"]
    assert marks(memory, [said(called())], "C") == ["B's"]


def test_another_model_gets_nothing() -> None:
    memory = CallMemory()
    memory.keep(MODEL, "A", "four", answer("x"))
    assert marks(memory, [said("four")], origin="service/other") == ["-"]


@pytest.mark.parametrize("size", [10, 300_000, 3_000_000])
def test_the_oldest_make_room(size: int) -> None:
    memory = CallMemory()
    for number in range(2_100 if size == 10 else 12):
        memory.keep(MODEL, "A", str(number), answer(f"{number}" + "x" * size))
    saved = memory.saved()
    assert len(msgspec.json.encode(saved)) <= 2_200_000
    assert len(saved) == {10: 2_000, 300_000: 3, 3_000_000: 0}[size]
    memory.clear()
    assert memory.saved() == []


fields = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2)
contents = st.one_of(
    st.text(max_size=3),
    st.lists(st.builds(FunctionCall, id=st.text(), arguments=st.text(), name=st.text()), max_size=2),
)
answers = st.builds(KeptAnswer, st.text(), st.builds(ExtraFields, fields, st.dictionaries(st.integers(0, 3), fields)))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["A", None]), contents, answers), max_size=6))
def test_the_next_run_goes_on(entries: list[tuple[str | None, str | list[FunctionCall], KeptAnswer]]) -> None:
    """What is saved as JSON and restored recalls the same: each answer with its own message, in order."""
    memory, restored = CallMemory(), CallMemory()
    for speaker, content, kept in entries:
        memory.keep(MODEL, speaker, content, kept)
    restored.restore(load(dump(memory.saved())))
    messages = [said(content) for _, content, _ in entries]
    assert restored.recall(MODEL, "A", messages) == memory.recall(MODEL, "A", messages)
    if {speaker for speaker, _, _ in entries} <= {"A"}:
        assert memory.recall(MODEL, "A", messages) == dict(enumerate(kept for _, _, kept in entries))


@pytest.mark.parametrize("saved", [None, 3, {}, [1], [["a"]], [["m", "o", None, "t", [], {}]]])
def test_anything_else_is_refused(saved: object) -> None:
    with pytest.raises(ValueError, match="Expected"):
        CallMemory().restore(saved)


def test_tools_that_were_offered() -> None:
    """The speaker's last ones; of a speaker that never had any, those of the others."""
    memory = CallMemory()
    assert list(memory.offered("A")) == []
    memory.offer("A", [{"name": "add"}])
    memory.offer("B", [{"name": "query"}])
    memory.offer("A", [])
    memory.offer("A", [{"name": "sum"}])
    assert [tool["name"] for tool in memory.offered("A")] == ["sum"]
    assert [tool["name"] for tool in memory.offered("C")] == ["sum", "query"]
