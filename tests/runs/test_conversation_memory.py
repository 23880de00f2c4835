"""A conversation continues from the team's own memory if it belongs to the history that the client sends."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, TextMessage
from autogen_core.model_context import UnboundedChatCompletionContext
from structlog.testing import capture_logs

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.events import Answer, Event, InputRequested, Message, Notice, RunFinished
from aiostream_server.events.fixed_notices import NOT_KEPT_YET, NOT_RECALLED
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import ImagePart, Question, Turn
from aiostream_server.runs.archive import Archive
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.run import Run
from aiostream_server.store.conversations import Address, Conversations, open_conversations
from aiostream_server.store.schema import memories
from tests.kit.waiting import DEADLINE_S
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
        if task[-1].to_text() == "hang":
            await asyncio.Event().wait()
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
    (answer,) = (event.content for event in events_of(run) if isinstance(event, Answer))
    return answer


async def _ask(runs: Runs, text: str, *args: Any, **asked: Any) -> str:
    return _answer(await _run(runs, text, *args, **asked))


def _talk(*texts: str) -> list[Turn]:
    """User, assistant, user, assistant ..."""
    return [Turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts)]


def _notices(run: Run) -> list[tuple[str, str]]:
    return [(event.reason, event.content) for event in events_of(run) if isinstance(event, Notice)]


@contextmanager
def _without_table(folder: Path) -> Iterator[None]:
    with closing(sqlite3.connect(folder / "conversations.db")) as database:
        database.execute(f"ALTER TABLE {memories.name} RENAME TO away")
        yield
        database.execute(f"ALTER TABLE away RENAME TO {memories.name}")


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
        [
            Turn("user", "one", (ImagePart("image/png", "AAAA"),)),
            *_talk("", "1 of memory, 0 read: one")[1:],
        ],
        _talk("one", "1 of memory, 0 read: one", "and", "more"),
        _talk("one"),
    ],
    ids=["answer edited", "question edited", "another picture", "more was said", "stopped before"],
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


async def test_another_team_reads_the_messages_of_such_a_client(runs: Runs, conversations: Conversations) -> None:
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
async def test_a_conversation_belongs_to_its_owner(runs: Runs, owner: Owner) -> None:
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


async def test_a_failed_keep_does_not_spoil_the_answer(runs: Runs) -> None:
    for text, event in (("unsaveable", "state_not_saved"), ("x" * 2_000, "state_too_large")):
        with capture_logs() as logs:
            run = await _run(runs, text)
        assert run.finished is not None
        assert run.finished.reason == "stop"
        assert event in {line["event"] for line in logs}
        assert "canary" not in str(logs)
        assert await _ask(runs, "two", _talk(text, _answer(run))) == "1 of memory, 2 read: two"


async def test_system_messages_may_change_and_take_the_place_of_the_earlier_ones(runs: Runs) -> None:
    """They may tell the time."""
    first = await _ask(runs, "one", [Turn("system", "It is 9:00.")])
    assert first == "1 of memory, 1 read: one"
    history = [Turn("system", "It is 9:01."), *_talk("one", first)]
    assert await _ask(runs, "two", history) == "2 of memory, 1 read: one / two"


@pytest.mark.parametrize("text", ["unsaveable", "x" * 2_000])
async def test_without_a_state_the_messages_are_kept(runs: Runs, text: str) -> None:
    await _run(runs, text, talk=TALK)
    assert await _ask(runs, "two", talk=TALK) == "1 of memory, 2 read: two"


async def test_of_too_many_messages_the_latest_are_kept(runs: Runs, conversations: Conversations) -> None:
    for number in range(8):
        await _run(runs, f"{number}" * 200, talk=TALK)
        kept = (await conversations.recall(Address("key", "ann", "talk")))[0].turns.decode()
        assert f"{number}" * 200 in kept
    assert "0" * 200 not in kept


async def test_a_turn_that_could_not_recall_the_earlier_ones_is_appended_to_them(
    runs: Runs, conversations: Conversations, tmp_path: Path
) -> None:
    """And so it is before it is written: the database may still be broken then."""
    await _ask(runs, "one", talk=TALK)
    with _without_table(tmp_path):
        run = await _run(runs, "two", talk=TALK)
    assert _answer(run) == "1 of memory, 0 read: two"
    assert _notices(run) == [("not_recalled", NOT_RECALLED), ("not_kept", NOT_KEPT_YET)]
    assert await _ask(runs, "three", talk=TALK) == "1 of memory, 4 read: three"
    await conversations.settle()
    assert await _ask(runs, "four", talk=TALK) == "2 of memory, 0 read: three / four"


async def test_a_row_of_another_format_is_no_memory(runs: Runs, conversations: Conversations) -> None:
    await _ask(runs, "one", talk=TALK)
    address = Address("key", "ann", "talk")
    for turns in (b"{", b"7", b'{"turns": 1}', b"[1]"):
        (memory, *_) = await conversations.recall(address)
        await conversations.keep(address, replace(memory, turns=turns))
        assert await _ask(runs, "two", talk=TALK) == "1 of memory, 0 read: two"


async def test_a_team_of_another_shape_reads_the_messages_once(runs: Runs, conversations: Conversations) -> None:
    class Mammoth(Elephant):
        pass

    first = await _ask(runs, "one")
    changed = runs_of(Mammoth, archive=Archive(conversations, max_state_bytes=1_000))
    assert await _ask(changed, "two", _talk("one", first)) == "1 of memory, 2 read: two"


async def test_a_store_that_is_gone_does_not_spoil_the_answer_and_the_user_is_told(runs: Runs, tmp_path: Path) -> None:
    await _ask(runs, "one")
    with _without_table(tmp_path), capture_logs() as logs:
        run = await _run(runs, "two")
        assert _answer(run) == "1 of memory, 0 read: two"
        assert _notices(run) == [("not_kept", NOT_KEPT_YET)]
    assert {"conversation_not_recalled", "conversation_not_kept"} <= {line["event"] for line in logs}


async def test_what_is_not_written_yet_is_remembered(runs: Runs, conversations: Conversations, tmp_path: Path) -> None:
    """Turn after turn, by both kinds of clients, and it is written when the database works again."""
    with _without_table(tmp_path):
        for talk in (CHAT, TALK):
            first = await _ask(runs, "one", talk=talk)
            second = await _ask(runs, "two", () if talk is TALK else _talk("one", first), talk=talk)
            assert second == "2 of memory, 0 read: one / two"
    await conversations.settle()
    async with open_conversations(ConversationsConfig(), tmp_path) as other:
        for talk in (CHAT, TALK):
            assert len(await other.recall(Address("key", "ann", talk.name))) == 2


async def test_a_reply_to_a_question_that_is_not_written_yet_counts_once(runs: Runs, tmp_path: Path) -> None:
    with _without_table(tmp_path):
        await _run(runs, "ask me")
        history = _talk("ask me", "Shall I?")
        answers = await asyncio.gather(*(_ask(runs, "yes", history) for _ in range(3)))
    assert sorted(answers) == ["1 of memory, 2 read: yes"] * 2 + ["2 of memory, 0 read: ask me / yes"]


async def test_turns_of_several_processes_are_all_remembered(conversations: Conversations, tmp_path: Path) -> None:
    """Each has its own store and its own turns; whichever is kept last is appended to what it had not seen."""
    async with open_conversations(ConversationsConfig(), tmp_path) as other:
        workers = [
            runs_of(Elephant, archive=Archive(store, max_state_bytes=10_000)) for store in (conversations, other)
        ]
        await _ask(workers[0], "zero", talk=TALK)
        for number in range(3):
            await asyncio.gather(
                *(_ask(runs, f"{name}{number}", talk=TALK) for name, runs in zip("ab", workers, strict=True))
            )
        latest = await other.latest(Address("key", "ann", "talk"))
    assert latest is not None
    asked = [text for role, text in json.loads(latest.turns) if role == "user"]
    assert sorted(asked) == sorted(["zero", "a0", "b0", "a1", "b1", "a2", "b2"])


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
    last: list[Event] = [event for event in events_of(asking) if isinstance(event, Answer | InputRequested)]
    assert last == [Answer("E", "Shall I?"), InputRequested("E", "Shall I?")]
    assert await _ask(runs, "yes", _talk("ask me", "Shall I?")) == "2 of memory, 0 read: ask me / yes"


async def test_a_reply_counts_once(runs: Runs) -> None:
    """Regenerated, or sent from a second tab at the same time."""
    await _run(runs, "ask me")
    history = _talk("ask me", "Shall I?")
    assert await _ask(runs, "yes", history) == "2 of memory, 0 read: ask me / yes"
    assert await _ask(runs, "yes", history) == "1 of memory, 2 read: yes"


async def test_of_simultaneous_replies_one_counts(runs: Runs) -> None:
    await _run(runs, "ask me")
    history = _talk("ask me", "Shall I?")
    answers = await asyncio.gather(*(_ask(runs, "yes", history) for _ in range(3)))
    assert sorted(answers) == ["1 of memory, 2 read: yes"] * 2 + ["2 of memory, 0 read: ask me / yes"]


async def test_a_reply_is_to_the_question_right_before_it(runs: Runs, conversations: Conversations) -> None:
    """The turn in between was stopped: what it was to answer is not asked any more."""
    await _run(runs, "ask me", talk=TALK)
    question = Question(Turn("user", "hang"))
    stopped = await runs.registry.start(RunRequest(question, "auto", runs.spec, owner=ANN, conversation=TALK))
    async with asyncio.timeout(DEADLINE_S):
        while (await conversations.recall(Address("key", "ann", "talk")))[0].waits_for:
            pass  # until the run has begun
    stopped.end("cancelled")
    await stopped.wait()
    assert stopped.finished is not None
    assert stopped.finished.reason == "cancelled"
    assert await _ask(runs, "yes", talk=TALK) == "1 of memory, 2 read: yes"


async def test_a_reply_that_was_sent_before_the_question_is_none(runs: Runs) -> None:
    asked = RunRequest(Question(Turn("user", "ask me")), "auto", runs.spec, owner=ANN, conversation=TALK)
    yes = RunRequest(Question(Turn("user", "yes")), "auto", runs.spec, owner=ANN, conversation=TALK)
    first, second = await runs.registry.start(asked), await runs.registry.start(yes)
    await first.wait()
    await second.wait()
    assert _answer(second) == "1 of memory, 2 read: yes"


async def test_a_question_to_the_user_that_cannot_be_answered_says_so(runs: Runs) -> None:
    told = [event for event in events_of(await _run(runs, "ask me", talk=None)) if isinstance(event, Message)]
    assert any("A reply will not reach me" in message.content for message in told)
    told = [event for event in events_of(await _run(runs, "ask me")) if isinstance(event, Message)]
    assert not any("A reply will not reach me" in message.content for message in told)


async def test_a_reply_goes_to_the_agent_that_asked_whatever_it_says(runs: Runs, conversations: Conversations) -> None:
    """The router does not judge it: see `routing`."""
    await _run(runs, "ask me")
    (memory,) = await conversations.recall(Address("key", "ann", "chat"))
    assert (memory.waits_for, memory.team) == ("E", "team")
