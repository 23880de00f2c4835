"""What a run knows of its conversation when it begins, and what it leaves behind for the next.

A conversation's memory is the state of the team that answered last. It is taken up where the history that the client
sends is the one that it belongs to; of an edited, regenerated or branched conversation, and where no state can be read,
the messages are read instead. Whatever goes wrong with the store, the question is answered.

A memory that waits for the user is good for one reply: who takes it up spends it first. So an agreement counts for the
question right before it, once, whatever becomes of the run, and not if it was sent before the question was there.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import structlog

from aiostream_server.events import Answer
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.json_text import dump, load
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.log.protocol import Log
from aiostream_server.runs.conversation import replace_systems
from aiostream_server.runs.fingerprint import Standing, answer_prints, fingerprint, standing_of
from aiostream_server.store.conversations import Address, Conversations, Memory
from aiostream_server.teams.autogen_private.structure import state_signature

_STORE_TIMEOUT_S: Final = 5.0
_SMALL: Final = 512 * 1024  # characters, or bytes: what is done with so much takes a millisecond, a thread 0.1
_FEWEST_TURNS: Final = 2  # that are kept, however long they are

_T = TypeVar("_T")

_log = structlog.get_logger()


@runtime_checkable
class Stateful(Protocol):
    """A team or an agent that can be put away and taken up again, as AutoGen's can."""

    async def save_state(self) -> Mapping[str, Any]: ...

    async def load_state(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Handover:
    """The agent `asker` waits for the user. `state` is the team's, where it can be had only while it runs."""

    asker: str
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """Where memories are kept. Of a state of more than `max_state_bytes` only the words are."""

    conversations: Conversations
    max_state_bytes: int


class ConversationMemory:
    """Of one run. Without a conversation, or without an archive, it recalls nothing and keeps nothing.

    `question` is what the run is asked: where the client left the earlier messages to the server, with them.
    `previous_team` answered last; `waits_for` is its agent that asked the user something. `asked_at` is Unix time: what
    was remembered later cannot have been known to who asked.
    """

    def __init__(
        self,
        archive: Archive | None,
        owner: Owner,
        conversation: Conversation | None,
        question: Question,
        *,
        asked_at: float,
    ) -> None:
        self.question = question
        self.previous_team: str | None = None
        self._archive: Final = archive
        self._asked_at = asked_at
        self._resends = conversation is None or conversation.resends
        self._memory: Memory | None = None
        self._standing: Standing | None = None
        self._is_lost = False
        self._address = None
        if archive is not None and conversation is not None:
            self._address = Address(owner.key_id or "", owner.user_id or "", conversation.name)

    @property
    def waits_for(self) -> str | None:
        return self._memory.waits_for if self._memory is not None else None

    @property
    def is_kept(self) -> bool:
        """Whether the next question of this conversation can go on from this one."""
        return self._address is not None and not self._is_lost

    def has_state_of(self, team_id: str) -> bool:
        return self._memory is not None and self._memory.team == team_id and self._memory.state != b""

    async def recall(self) -> None:
        """Find the memory that the question goes on from."""
        if self._archive is None or self._address is None:
            return
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                memory = await self._find(self._archive.conversations, self._address)
                if memory is not None and memory.waits_for is not None:
                    memory = await self._spend(self._archive.conversations, self._address, memory)
        except Exception as exc:  # whatever a database driver raises, or a row of another format makes of it
            _log.warning("conversation_not_recalled", error=type(exc).__name__)
            self._is_lost = not self._resends  # what is kept next would be all that is left
            return
        self._memory = memory

    async def restore(self, team: object) -> bool:
        """Give a fresh team its memory. False where that cannot be: the team is of no more use then."""
        if self._memory is None or not isinstance(team, Stateful):
            return False
        try:
            kept = await _aside(len(self._memory.state), load, self._memory.state)
            if kept["shape"] != state_signature(team):
                raise ValueError("the team is another one now")
            await team.load_state(kept["state"])
            systems = [turn for turn in self.question.history if turn.role == "system"]
            if kept["systems"] != [turn.text for turn in systems]:
                await replace_systems(team, systems)
        except Exception as exc:  # a team that was changed since: whatever its agents make of another's state
            _log.warning("state_not_restored", team=self._memory.team, error=type(exc).__name__)
            self._memory = None
            return False
        return True

    async def keep(self, team: object, team_id: str, log: Log, handover: Handover | None = None) -> None:
        """Leave the conversation as it stands now: the team's state, or, where there is none to be had, its words."""
        if self._archive is None or self._address is None or self._is_lost:
            return
        try:
            state = await self._state_of(team, team_id, handover, self._archive.max_state_bytes)
            size = log.size_bytes + sum(len(turn.text) for turn in self.question.history)
            waits_for = handover.asker if handover is not None and state else None
            memory = await _aside(size, self._memory_of, team_id, log, state, waits_for)
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._archive.conversations.keep(self._address, memory)
        except Exception as exc:  # a database driver
            _log.warning("conversation_not_kept", team=team_id, error=type(exc).__name__)

    async def _find(self, conversations: Conversations, address: Address) -> Memory | None:
        history = self.question.history
        if not self._resends and all(turn.role == "system" for turn in history):
            return await self._tell(conversations, address)
        size = sum(len(turn.text) for turn in history)
        standing = self._standing = await _aside(size, standing_of, history)
        memories = await conversations.recall(address, lambda memory: _is_of(memory, standing))
        found = next((memory for memory in memories if _is_of(memory, standing)), None)
        if memories:
            self.previous_team = (found or memories[0]).team
        return found

    async def _tell(self, conversations: Conversations, address: Address) -> Memory | None:
        """Add what the client leaves out to the question: the turns up to the last answer."""
        memory = await conversations.latest(address)
        if memory is None:
            return None
        self.previous_team = memory.team
        told = tuple(Turn(role, text) for role, text in load(memory.turns))
        self.question = replace(self.question, history=(*self.question.history, *told))
        self._standing = Standing(memory.fingerprint, answer="", last=told[-1])  # nobody compares the answer here
        return memory

    async def _spend(self, conversations: Conversations, address: Address, memory: Memory) -> Memory:
        """The memory of a question to the user, for whoever is the first to come back to it after it was asked."""
        is_first = await conversations.spend(address, memory)
        if is_first and memory.updated_at <= self._asked_at:
            return memory
        return replace(memory, state=b"", waits_for=None)

    async def _state_of(self, team: object, team_id: str, handover: Handover | None, max_bytes: int) -> bytes:
        """Empty where it cannot be had, or is too much."""
        if not isinstance(team, Stateful):
            return b""
        try:
            state = handover.state if handover is not None and handover.state else await team.save_state()
            systems = [turn.text for turn in self.question.history if turn.role == "system"]
            kept = {"shape": state_signature(team), "systems": systems, "state": state}
            last = len(self._memory.state) if self._memory is not None else 0  # about as much as it will be now
            encoded = await _aside(last, dump, kept)
        except Exception as exc:  # a team's own
            _log.warning("state_not_saved", team=team_id, error=type(exc).__name__)
            return b""
        if len(encoded) > max_bytes:
            _log.warning("state_too_large", team=team_id, size_bytes=len(encoded))
            return b""
        return encoded

    def _memory_of(self, team_id: str, log: Log, state: bytes, waits_for: str | None) -> Memory:
        entries = log.since(0)
        asked = [*self.question.history, self.question.task]
        answer = next((entry.event for entry in reversed(entries) if isinstance(entry.event, Answer)), None)
        turns: list[tuple[str, str]] = [(turn.role, turn.text) for turn in asked if turn.role in ("user", "assistant")]
        turns.append(("assistant", answer.content if answer is not None else ""))
        return Memory(
            team=team_id,
            fingerprint=self._fingerprint(),
            answers=answer_prints(entries),
            state=state,
            turns=self._words(turns),
            waits_for=waits_for,
        )

    def _fingerprint(self) -> str:
        if self._standing is None:
            return fingerprint([*self.question.history, self.question.task])
        return fingerprint([self._standing.last, self.question.task], after=self._standing.fingerprint)

    def _words(self, turns: list[tuple[str, str]]) -> bytes:
        """The oldest are dropped where all of them are too many."""
        most = self._archive.max_state_bytes if self._archive is not None else 0
        while len(words := dump(turns)) > most and len(turns) > _FEWEST_TURNS:
            turns = turns[len(turns) // 2 :]
        return words


def _is_of(memory: Memory, standing: Standing | None) -> bool:
    return standing is not None and memory.fingerprint == standing.fingerprint and standing.answer in memory.answers


async def _aside(size: int, work: Callable[..., _T], *arguments: Any) -> _T:  # whatever `work` takes
    """Without holding up others: in a thread, where it is much."""
    if size <= _SMALL:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)
