"""A conversation goes on from the team's own memory where the history is the one that it belongs to, only there."""

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, TextMessage
from autogen_core.model_context import UnboundedChatCompletionContext
from structlog.testing import capture_logs

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.events import Event, Final, InputRequested, RunFinished
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import ImagePart, Question, Turn
from aiostream_server.runs.recollection import Archive
from aiostream_server.runs.run import Run, RunRequest
from aiostream_server.store.conversations import Address, Conversations, open_conversations
from aiostream_server.store.schema import memories
from tests.runs.running import Runs, events_of, runs_of

CHAT = Conversation("chat", resends=True)
TALK = Conversation("talk", resends=False)
ANN = Owner("key", "ann")


class Elephant:
    """Counts the questions that it remembers; asks the user where it is told to, and is told what it read."""

    def __init__(self) -> None:
        self.model_context = UnboundedChatCompletionContext()
        self.remembers: list[str] = []
        self.read = 0

    async def run_stream(self, *, task: Sequence[BaseChatMessage]) -> AsyncGenerator[Any, None]:
        self.read = len(await self.model_context.get_messages())
        self.remembers.append(task[-1].to_text())
        answer = f"{len(self.remembers)} of memory, {self.read} read: {' / '.join(self.remembers)}"
        message: BaseChatMessage = TextMessage(content=answer, source="E")
        if task[-1].to_text() == "ask me":
            message = HandoffMessage(content="Shall I?", source="E", target="user")
        yield message
        yield TaskResult(messages=[message], stop_reason="done")

    async def save_state(self) -> Mapping[str, Any]:
        if self.remembers[-1] == "unsaveable":
            raise RuntimeError("canary")
        return {"remembers": self.remembers}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.remembers = [*state["remembers"]]


@pytest.fixture
async def conversations(tmp_path: Path) -> AsyncIterator[Conversations]:
    async with open_conversations(ConversationsConfig(), tmp_path) as opened:
        yield opened


@pytest.fixture
def runs(conversations: Conversations) -> Runs:
    return runs_of(Elephant, archive=Archive(conversations, max_state_bytes=1_000))


async def _run(
    runs: Runs, text: str, history: Sequence[Turn] = (), talk: Conversation | None = CHAT, owner: Owner = ANN
) -> Run:
    question = Question(Turn("user", text), tuple(history))
    run = await runs.registry.start(RunRequest(question, "auto", runs.spec, owner=owner, conversation=talk))
    await run.wait()
    return run


def _answer(run: Run) -> str:
    (answer,) = (event.content for event in events_of(run) if isinstance(event, Final))
    return answer


async def _ask(runs: Runs, text: str, *args: Any, **asked: Any) -> str:
    return _answer(await _run(runs, text, *args, **asked))


def _talk(*texts: str) -> list[Turn]:
    """User, assistant, user, assistant ..."""
    return [Turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts)]


async def test_the_next_question_goes_on_from_the_teams_memory_and_reads_nothing_again(runs: Runs) -> None:
    first = await _ask(runs, "one")
    second = await _ask(runs, "two", _talk("one", first))
    assert second == "2 of memory, 0 read: one / two"
    assert await _ask(runs, "three", _talk("one", first, "two", second)) == "3 of memory, 0 read: one / two / three"


@pytest.mark.parametrize(
    "history",
    [
        _talk("one", "1 of memory, 0 read: another answer"),
        _talk("won", "1 of memory, 0 read: one"),
        [Turn("system", "Be brief."), *_talk("one", "1 of memory, 0 read: one")],
        [
            replace(_talk("one")[0], images=(ImagePart("image/png", "AAAA"),)),
            *_talk("", "1 of memory, 0 read: one")[1:],
        ],
        _talk("one", "1 of memory, 0 read: one", "and", "more"),
        _talk("one"),
    ],
    ids=["answer edited", "question edited", "system message", "another picture", "more was said", "stopped before"],
)
async def test_a_history_that_is_not_the_memorys_is_read(runs: Runs, history: list[Turn]) -> None:
    assert await _ask(runs, "one") == "1 of memory, 0 read: one"
    assert await _ask(runs, "two", history) == f"1 of memory, {len(history)} read: two"


async def test_a_question_asked_again_goes_on_from_before_its_first_answer(runs: Runs) -> None:
    """Open WebUI's "regenerate"."""
    history = _talk("one", await _ask(runs, "one"))
    for _ in range(2):
        assert await _ask(runs, "two", history) == "2 of memory, 0 read: one / two"


async def test_a_chat_page_that_sends_no_history_begins_anew(runs: Runs) -> None:
    """Its first question was edited."""
    await _ask(runs, "one")
    assert await _ask(runs, "won") == "1 of memory, 0 read: won"


async def test_a_client_that_leaves_the_history_to_the_server_goes_on(runs: Runs) -> None:
    for text, answer in (("one", "1 of memory, 0 read: one"), ("two", "2 of memory, 0 read: one / two")):
        assert await _ask(runs, text, talk=TALK) == answer
    assert await _ask(runs, "three", talk=TALK) == "3 of memory, 0 read: one / two / three"


async def test_what_such_a_client_said_is_read_again_where_the_memory_is_another_teams(
    runs: Runs, conversations: Conversations
) -> None:
    await _ask(runs, "one", talk=TALK)
    await _ask(runs, "two", talk=TALK)
    address = Address("key", "ann", "talk")
    latest = (await conversations.recall(address))[0]
    await conversations.keep(address, replace(latest, team="another"))
    assert await _ask(runs, "three", talk=TALK) == "1 of memory, 4 read: three"


async def test_a_client_that_leaves_the_history_to_the_server_may_still_send_it(runs: Runs) -> None:
    first = await _ask(runs, "one", talk=TALK)
    assert await _ask(runs, "two", _talk("one", first), talk=TALK) == "2 of memory, 0 read: one / two"
    assert await _ask(runs, "two", _talk("one", "edited"), talk=TALK) == "1 of memory, 2 read: two"


@pytest.mark.parametrize("owner", [Owner("key", "bob"), Owner("key"), Owner(), Owner("other", "ann")])
async def test_nobody_goes_on_with_somebody_elses_conversation(runs: Runs, owner: Owner) -> None:
    first = await _ask(runs, "one")
    assert await _ask(runs, "two", _talk("one", first), owner=owner) == "1 of memory, 2 read: two"
    assert await _ask(runs, "three", talk=replace(TALK, name="chat"), owner=owner) != "2 of memory, 0 read: one / three"


async def test_without_a_conversation_the_history_alone_counts(runs: Runs) -> None:
    first = await _ask(runs, "one", talk=None)
    assert await _ask(runs, "two", _talk("one", first), talk=None) == "1 of memory, 2 read: two"


async def test_an_unreadable_memory_is_no_memory(runs: Runs, conversations: Conversations) -> None:
    first = await _ask(runs, "one")
    address = Address("key", "ann", "chat")
    (memory,) = await conversations.recall(address)
    for state in (b"{", b"{}", b"[]", b'{"remembers": 7}'):
        await conversations.keep(address, replace(memory, state=state))
        with capture_logs() as logs:
            assert await _ask(runs, "two", _talk("one", first)) == "1 of memory, 2 read: two"
        assert "state_not_restored" in {line["event"] for line in logs}


async def test_what_cannot_be_kept_does_not_spoil_the_answer(runs: Runs) -> None:
    for text, event in (("unsaveable", "conversation_not_kept"), ("x" * 2_000, "state_too_large")):
        with capture_logs() as logs:
            run = await _run(runs, text)
        assert run.finished is not None
        assert run.finished.reason == "stop"
        assert event in {line["event"] for line in logs}
        assert "canary" not in str(logs)
        assert await _ask(runs, "two", _talk(text, _answer(run))) == "1 of memory, 2 read: two"


async def test_a_store_that_is_gone_does_not_spoil_the_answer(runs: Runs, tmp_path: Path) -> None:
    await _ask(runs, "one")
    with closing(sqlite3.connect(tmp_path / "conversations.db")) as database:
        database.execute(f"DROP TABLE {memories.name}")
        database.commit()
    with capture_logs() as logs:
        assert await _ask(runs, "two") == "1 of memory, 0 read: two"
    assert {"conversation_not_recalled", "conversation_not_kept"} <= {line["event"] for line in logs}


async def test_an_answer_is_kept_before_the_client_hears_that_it_is_over(
    runs: Runs, conversations: Conversations
) -> None:
    run = await runs.registry.start(
        RunRequest(Question(Turn("user", "one")), "auto", runs.spec, owner=ANN, conversation=CHAT)
    )
    with run.watch() as reader:
        while not any(isinstance(entry.event, RunFinished) for entry in await reader.read()):
            pass
        assert len(await conversations.recall(Address("key", "ann", "chat"))) == 1


async def test_a_question_to_the_user_is_the_answer_of_its_turn_and_the_next_question_its_reply(runs: Runs) -> None:
    asking = await _run(runs, "ask me")
    last: list[Event] = [event for event in events_of(asking) if isinstance(event, Final | InputRequested)]
    assert last == [Final("E", "Shall I?"), InputRequested("E", "Shall I?")]
    assert await _ask(runs, "yes", _talk("ask me", "Shall I?")) == "2 of memory, 0 read: ask me / yes"


async def test_a_reply_goes_to_who_asked_whatever_it_says(runs: Runs, conversations: Conversations) -> None:
    """The router does not judge it: see `routing`."""
    await _run(runs, "ask me")
    (memory,) = await conversations.recall(Address("key", "ann", "chat"))
    assert (memory.waits_for, memory.team) == ("E", "team")
