"""What a run recalls of its conversation when it begins, and what it keeps for the next run.

A memory is the state of the team that answered last. It is restored if it belongs to the history that the client sends.
After an edit, a regeneration or a branch, and if the state cannot be read, the messages are used instead. If the store
fails, the question is still answered.

A memory that waits for the user is spent by the first reply, before it is restored. So a user's approval counts once,
for the question right before it, and not if it was sent before that question was asked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, runtime_checkable

import structlog

from aiostream_server.events import Answer
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.json_text import dump, load
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.log.protocol import Log
from aiostream_server.models.call_memory import CallMemory
from aiostream_server.runs.fingerprint import Standing, answer_prints, fingerprint, standing_of
from aiostream_server.runs.history import replace_systems
from aiostream_server.store.conversations import Address, Conversations, TeamMemory
from aiostream_server.store.off_loop import off_loop
from aiostream_server.teams.autogen_private.structure import state_signature

_STORE_TIMEOUT_S: Final = 5.0
_SMALL: Final = 512 * 1024  # characters or bytes: takes a millisecond
_FEWEST_TURNS: Final = 2  # kept, however long they are

_log = structlog.get_logger()


@runtime_checkable
class Stateful(Protocol):
    """A team or an agent with a state that can be saved and loaded, as AutoGen's have."""

    async def save_state(self) -> Mapping[str, Any]: ...

    async def load_state(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Handover:
    """The agent `asker` waits for the user. `state` is the team's, if it can only be saved while the team runs."""

    asker: str
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """Where memories are kept. Of a state larger than `max_state_bytes` only the messages are kept."""

    conversations: Conversations
    max_state_bytes: int


class ConversationMemory:
    """One run's. Without a conversation, or without an archive, it recalls nothing and keeps nothing.

    `question` is what the run is asked, with the earlier messages if the client leaves these to the server.
    `calls`, what model calls leave for later ones, is kept beside the team's state. `previous_team` answered last;
    `waits_for` is its agent that asked the user something. `asked_at` is Unix time: a memory that was kept later does
    not count, since the user had not seen its question.
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
        self._archive = archive if conversation is not None else None
        name = conversation.name if conversation is not None else ""
        self._address = Address(owner.key_id or "", owner.user_id or "", name)
        self._calls = calls
        self._asked_at = asked_at
        self._resends = conversation is None or conversation.resends
        self._memory: TeamMemory | None = None
        self._standing: Standing | None = None

    @property
    def waits_for(self) -> str | None:
        return self._memory.waits_for if self._memory is not None else None

    @property
    def is_kept(self) -> bool:
        """Whether the next question can continue from this one."""
        return self._archive is not None

    def has_state_of(self, team_id: str) -> bool:
        return self._memory is not None and self._memory.team == team_id and self._memory.state != b""

    async def recall(self) -> None:
        """Find the memory that the question continues."""
        if self._archive is None:
            return
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                memory = await self._find(self._archive.conversations)
                if memory is not None and memory.waits_for is not None:
                    memory = await self._spend(self._archive.conversations, memory)
        except Exception as exc:  # raised by a database driver, or by a row of another format
            _log.warning("conversation_not_recalled", error=type(exc).__name__)
            if not self._resends:
                self._archive = None  # keeping this turn would replace all that was kept
            return
        self._memory = memory

    async def restore(self, team: object) -> bool:
        """Load the memory into a fresh team. False if that fails: the team must not be used then."""
        if self._memory is None or not isinstance(team, Stateful):
            return False
        try:
            kept = await off_loop(len(self._memory.state) > _SMALL, load, self._memory.state)
            if kept["shape"] != state_signature(team):
                raise ValueError("the team is another one now")
            await team.load_state(kept["state"])
            if kept["systems"] != [turn.text for turn in self._systems]:
                await replace_systems(team, self._systems)
            self._calls.restore(kept.get("calls", []))
        except Exception as exc:  # the team was changed since: its agents may raise anything
            _log.warning("state_not_restored", team=self._memory.team, error=type(exc).__name__)
            self._memory = None
            return False
        return True

    async def keep(self, team: object, team_id: str, log: Log, handover: Handover | None = None) -> None:
        """Keep the conversation as it is now: the team's state, or only the messages if there is no state."""
        if self._archive is None:
            return
        try:
            most = self._archive.max_state_bytes
            state = await self._state_of(team, team_id, handover, most)
            is_large = log.size_bytes + _chars(self.question.history) > _SMALL
            waits_for = handover.asker if handover is not None and state else None
            memory = await off_loop(is_large, self._memory_of, team_id, log, state, waits_for, most)
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._archive.conversations.keep(self._address, memory)
        except Exception as exc:  # a database driver
            _log.warning("conversation_not_kept", team=team_id, error=type(exc).__name__)

    @property
    def _systems(self) -> Sequence[Turn]:
        return [turn for turn in self.question.history if turn.role == "system"]

    async def _find(self, conversations: Conversations) -> TeamMemory | None:
        history = self.question.history
        if not self._resends and len(self._systems) == len(history):
            return await self._add_earlier_turns(conversations)
        standing = self._standing = await off_loop(_chars(history) > _SMALL, standing_of, history)

        def is_continued(memory: TeamMemory) -> bool:
            return (
                standing is not None
                and memory.fingerprint == standing.fingerprint
                and standing.answer in memory.answers
            )

        memories = await conversations.recall(self._address, is_continued)
        found = next(filter(is_continued, memories), None)
        if memories:
            self.previous_team = (found or memories[0]).team
        return found

    async def _add_earlier_turns(self, conversations: Conversations) -> TeamMemory | None:
        """Add the turns that the client leaves out, up to the last answer, to the question."""
        memory = await conversations.latest(self._address)
        if memory is None:
            return None
        self.previous_team = memory.team
        earlier = tuple(Turn(role, text) for role, text in load(memory.turns))
        self.question = replace(self.question, history=(*self.question.history, *earlier))
        self._standing = Standing(memory.fingerprint, answer="", last=earlier[-1])  # the answer is not compared
        return memory

    async def _spend(self, conversations: Conversations, memory: TeamMemory) -> TeamMemory:
        """Give the state of a question to the user to the first reply that was sent after it."""
        is_first = await conversations.spend(self._address, memory)
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
            last = len(self._memory.state) if self._memory is not None else 0  # about the size of the new state
            calls = self._calls.saved()
            encoded = await off_loop(last > _SMALL, dump, kept | {"calls": calls} if calls else kept)
            if (
                calls and len(encoded) > most_bytes
            ):  # the conversation goes on better without these than without a state
                encoded = await off_loop(last > _SMALL, dump, kept)
        except Exception as exc:  # raised by a user's own team
            _log.warning("state_not_saved", team=team_id, error=type(exc).__name__)
            return b""
        if len(encoded) > most_bytes:
            _log.warning("state_too_large", team=team_id, size_bytes=len(encoded))
            return b""
        return encoded

    def _memory_of(self, team_id: str, log: Log, state: bytes, waits_for: str | None, most_bytes: int) -> TeamMemory:
        entries, standing = log.since(0), self._standing
        asked = [*self.question.history, self.question.task]
        answer = next((entry.event.content for entry in reversed(entries) if isinstance(entry.event, Answer)), "")
        turns: list[tuple[str, str]] = [(turn.role, turn.text) for turn in asked if turn.role in ("user", "assistant")]
        turns.append(("assistant", answer))
        while len(encoded := dump(turns)) > most_bytes and len(turns) > _FEWEST_TURNS:
            turns = turns[len(turns) // 2 :]  # the newer half
        print_of_all = (
            fingerprint(asked)
            if standing is None
            else fingerprint([standing.last, self.question.task], after=standing.fingerprint)
        )
        return TeamMemory(team_id, print_of_all, answer_prints(entries), state, encoded, waits_for)


def _chars(turns: Sequence[Turn]) -> int:
    return sum(len(turn.text) for turn in turns)
