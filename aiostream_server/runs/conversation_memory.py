"""What a run recalls of its conversation when it begins, and what it keeps for the next run.

A memory is the state of the team that answered last. It is restored if it belongs to the history that the client sends.
After an edit, a regeneration or a branch, and if the state cannot be read, the messages are used instead. If the store
fails, the question is still answered, and the user is told what that means for the next ones.

A client that leaves the earlier messages to the server relies on every turn. Another server process may have kept a
turn meanwhile: then this one is appended to that, and the next team is built from the messages of both.

A memory that waits for the user is spent by the first reply, before it is restored. So a user's approval counts once,
for the question right before it, and not if it was sent before that question was asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, runtime_checkable

import structlog

from aiostream_server.events import Entry
from aiostream_server.events.fixed_notices import NOT_KEPT, NOT_KEPT_YET, STATE_NOT_KEPT
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.json_text import dump, load
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.log.protocol import Log
from aiostream_server.models.call_memory import CallMemory
from aiostream_server.runs.archive import OTHER_FORMAT, SMALL, Archive, address_of
from aiostream_server.runs.fingerprint import Standing, answer_prints, essence, extended, fingerprint, standing_of
from aiostream_server.runs.history import replace_systems
from aiostream_server.runs.kept_turns import answer_turn, packed_turns, unpacked_turns
from aiostream_server.store.conversations import Address, Conversations, TeamMemory
from aiostream_server.store.database import NotWrittenYet
from aiostream_server.store.off_loop import off_loop
from aiostream_server.store.turn_transaction import Merge
from aiostream_server.teams.autogen_private.team_facts import state_signature

_LAST_EVENTS: Final = 512  # those of a run among which its answer, or its calls of the client's tools, are told

_NO_CONVERSATION: Final = Conversation("", resends=True, is_kept=False)

_log = structlog.get_logger()


@runtime_checkable
class Stateful(Protocol):
    """A team or an agent with a state that can be saved and loaded, as AutoGen's have."""

    async def save_state(self) -> Mapping[str, Any]: ...

    async def load_state(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Handover:
    """The agent `asker` waits for the user, for a yes or a no if `is_approval`; with `call_ids`, for the client's
    results of these calls. `stopped` are then all agents that stopped in their turns, the callers among them. `state`
    is the team's, if it can only be saved while the team runs.
    """

    asker: str
    state: Mapping[str, Any] | None = None
    call_ids: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    is_approval: bool = False


class ConversationMemory:
    """One run's. Without a conversation, or without an archive, it recalls nothing and keeps nothing.

    `question` is what the run is asked, with the earlier messages if the client leaves these to the server.
    `calls`, what model calls leave for later ones, is kept beside the team's state. `previous_team` answered last;
    `waits_for` is its agent that asked the user something, `stopped`, of a state that is restored, those that go on
    with results of the client's tools. `asked_at` is Unix time: a memory that was kept later does not count, since
    the user had not seen its question.
    """

    def __init__(
        self,
        archive: Archive | None,
        owner: Owner,
        conversation: Conversation | None,
        question: Question,
        calls: CallMemory,
        *,
        asked_at: float,
    ) -> None:
        self.question = question
        self.previous_team: str | None = None
        self.stopped: Sequence[str] = ()
        self._sent = tuple(turn for turn in question.turns if turn.role != "system")
        self._archive = archive if conversation is not None else None
        self._conversation = conversation or _NO_CONVERSATION
        self._owner = owner
        self._calls = calls
        self._asked_at = asked_at
        self._memory: TeamMemory | None = None
        self._standing: Standing | None = None
        self._continues = ""  # the version of the memory that the question continues
        self._leaves_history_to_us = False
        self.was_recalled = True
        """False if the earlier turns could not be read, and the client has not sent them."""

    @property
    def waits_for(self) -> str | None:
        return self._memory.waits_for if self._memory is not None else None

    @property
    def is_kept(self) -> bool:
        """Whether the next question can continue from this one."""
        return self._archive is not None and self._conversation.is_kept

    def has_state_of(self, team_id: str) -> bool:
        return self._memory is not None and self._memory.team == team_id and self._memory.state != b""

    async def recall(self) -> None:
        """Find the memory that the question continues."""
        talk = self._conversation
        if self._archive is None or talk.recalled is None:
            return
        has_earlier_turns = any(turn.role in ("user", "assistant") for turn in self.question.history)
        self._leaves_history_to_us = not talk.resends and (talk.is_chain or not has_earlier_turns)
        try:
            memory = await self._find(self._archive.conversations)
            if memory is not None and memory.waits_for is not None:
                memory = await self._spend(self._archive.conversations, memory)
        except Exception as exc:  # the store's, or raised by a row of another format
            _log.warning("conversation_not_recalled", error=type(exc).__name__)
            self.was_recalled = not self._leaves_history_to_us
            return
        self._memory = memory

    async def restore(self, team: object) -> bool:
        """Load the memory into a fresh team. False if that fails: the team must not be used then."""
        if self._memory is None or not isinstance(team, Stateful):
            return False
        try:
            kept = await off_loop(len(self._memory.state) > SMALL, load, self._memory.state)
            if kept["shape"] != state_signature(team):
                raise ValueError("the team is another one now")
            await team.load_state(kept["state"])
            if kept["systems"] != [turn.text for turn in self._systems]:
                await replace_systems(team, self._systems)
            self._calls.restore(kept.get("calls", []))
            self.stopped = kept.get("stopped", ())
        except Exception as exc:  # the team was changed since: its agents may raise anything
            _log.warning("state_not_restored", team=self._memory.team, error=type(exc).__name__)
            self._memory = None
            return False
        return True

    async def keep(self, team: object, team_id: str, log: Log, handover: Handover | None = None) -> str | None:
        """Keep the conversation as it is now: the team's state, or only the messages if there is no state.

        Returns what the user has to be told if the turn is not saved.
        """
        if self._archive is None or not self._conversation.is_kept:
            return None
        try:
            most = self._archive.max_state_bytes
            state = await self._state_of(team, team_id, handover, most)
            is_large = log.size_bytes + _chars(self.question.history) > SMALL
            is_asking = handover is not None and not handover.call_ids
            waits_for = handover.asker if handover is not None and is_asking and state else None
            memory = await off_loop(is_large, self._memory_of, team_id, log, state, waits_for, most)
            can_collide = self._leaves_history_to_us and not self._conversation.is_chain
            merge = _appending(self._sent, log, memory, most) if can_collide else None
            address = address_of(self._owner, self._conversation.name)
            await self._archive.conversations.keep(address, memory, after=self._continues, merge=merge)
        except NotWrittenYet as exc:
            _log.warning("conversation_not_kept", team=team_id, error=type(exc).__name__, is_retried=True)
            return NOT_KEPT_YET
        except Exception as exc:  # the store's, or raised by what the team is made of
            _log.warning("conversation_not_kept", team=team_id, error=type(exc).__name__, is_retried=False)
            return NOT_KEPT if self._leaves_history_to_us else STATE_NOT_KEPT
        return None

    @property
    def _recalled(self) -> Address:
        return address_of(self._owner, self._conversation.recalled or "")

    @property
    def _systems(self) -> Sequence[Turn]:
        return [turn for turn in self.question.history if turn.role == "system"]

    async def _find(self, conversations: Conversations) -> TeamMemory | None:
        history = self.question.history
        if self._leaves_history_to_us:
            return await self._add_earlier_turns(conversations)
        standing = self._standing = await off_loop(_chars(history) > SMALL, standing_of, history)

        def is_continued(memory: TeamMemory) -> bool:
            return (
                standing is not None
                and memory.fingerprint == standing.fingerprint
                and standing.answer in memory.answers
            )

        memories = await conversations.recall(self._recalled, is_continued)
        found = next(filter(is_continued, memories), None)
        if memories:
            self.previous_team = (found or memories[0]).team
        return found

    async def _add_earlier_turns(self, conversations: Conversations) -> TeamMemory | None:
        """Add the turns that the client leaves out, up to the last answer, to the question."""
        memory = await conversations.latest(self._recalled)
        if memory is None:
            return None
        self.previous_team = memory.team
        self._continues = memory.version
        earlier = unpacked_turns(memory.turns)
        later = tuple(turn for turn in self.question.history if turn.role != "system")
        self.question = replace(self.question, history=(*self._systems, *earlier, *later))
        if any(turn.role != "tool" for turn in later):
            memory = replace(memory, state=b"")  # of a time before these
        since = (earlier[-1], *later)
        self._standing = Standing(memory.fingerprint, answer="", since=since)  # the answer is not compared
        return memory

    async def _spend(self, conversations: Conversations, memory: TeamMemory) -> TeamMemory:
        """Give the state of a question to the user to the first reply that was sent after it."""
        is_first = await conversations.spend(self._recalled, memory)
        if is_first and memory.updated_at <= self._asked_at:
            return memory
        return replace(memory, state=b"", waits_for=None)

    async def _state_of(self, team: object, team_id: str, handover: Handover | None, most_bytes: int) -> bytes:
        """Empty if the team has none, or if it is too large."""
        if not isinstance(team, Stateful):
            return b""
        try:
            state = handover.state if handover is not None and handover.state else await team.save_state()
            kept = {"shape": state_signature(team), "systems": [turn.text for turn in self._systems], "state": state}
            if handover is not None and handover.call_ids:
                kept["stopped"] = handover.stopped
            last = len(self._memory.state) if self._memory is not None else 0  # about the size of the new state
            calls = self._calls.saved()
            encoded = await off_loop(last > SMALL, dump, kept | {"calls": calls} if calls else kept)
            if (
                calls and len(encoded) > most_bytes
            ):  # the conversation goes on better without these than without a state
                encoded = await off_loop(last > SMALL, dump, kept)
        except Exception as exc:  # raised by a user's own team
            _log.warning("state_not_saved", team=team_id, error=type(exc).__name__)
            return b""
        if len(encoded) > most_bytes:
            _log.warning("state_too_large", team=team_id, size_bytes=len(encoded))
            return b""
        return encoded

    def _memory_of(self, team_id: str, log: Log, state: bytes, waits_for: str | None, most_bytes: int) -> TeamMemory:
        talk, question = self._conversation, self.question
        entries = _end_of(log) if talk.is_chain or talk.by_name else log.condensed()
        turns = packed_turns([*question.turns, answer_turn(entries)], most_bytes)
        if talk.is_chain:  # its id continues it, and never its texts
            return TeamMemory(team_id, "", (), state, turns, waits_for)
        if (standing := self._standing) is None:
            print_of_all = fingerprint(question.turns)
        else:
            asked = [question.task] if question.has_new_task else []
            print_of_all = fingerprint([*standing.since, *asked], after=standing.fingerprint)
        answers = () if talk.by_name else answer_prints(entries)
        return TeamMemory(team_id, print_of_all, answers, state, turns, waits_for)


def _end_of(log: Log) -> Sequence[Entry]:
    return log.since(max(log.committed - _LAST_EVENTS, 0))


def _appending(sent: Sequence[Turn], log: Log, memory: TeamMemory, most_bytes: int) -> Merge:
    """Appends this turn to what another process has kept since the turn began. The store may call it much later: it
    holds the texts, and neither images nor the log."""
    asked = [turn._replace(images=()) for turn in sent]
    answer, essences = answer_turn(_end_of(log)), [essence(turn) for turn in sent]

    def merge(newest: TeamMemory) -> TeamMemory:
        try:
            earlier = unpacked_turns(newest.turns)
            fingerprint_of_all = extended(newest.fingerprint, essence(earlier[-1]))
        except OTHER_FORMAT:
            return memory
        for each in essences:
            fingerprint_of_all = extended(fingerprint_of_all, each)
        turns = packed_turns([*earlier, *asked, answer], most_bytes)
        return TeamMemory(memory.team, fingerprint_of_all, memory.answers, b"", turns)

    return merge


def _chars(turns: Sequence[Turn]) -> int:
    return sum(len(turn.text) for turn in turns)
