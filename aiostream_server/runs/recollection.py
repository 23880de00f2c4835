"""What a run knows of its conversation when it begins, and what it leaves behind for the next.

A conversation's memory is the state of the team that answered last. It is taken up where the history that the client
sends is the one that it belongs to; of an edited, regenerated or branched conversation, and where no state can be read,
the messages are read instead. Whatever goes wrong with the store, the question is answered.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, runtime_checkable

import structlog

from aiostream_server.events import Final as FinalAnswer
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.runs.fingerprint import Standing, answer_prints, fingerprint, standing_of
from aiostream_server.store.conversations import Address, Conversations, Memory
from aiostream_server.store.log import RunLog
from aiostream_server.wire.json_text import encode

_STORE_TIMEOUT_S: Final = 5.0

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
    """Where memories are kept. A state of more than `max_state_bytes` is not."""

    conversations: Conversations
    max_state_bytes: int


class Recollection:
    """Of one run. Without a conversation, or without an archive, it recalls nothing and keeps nothing.

    `question` is what the run is asked: where the client left the earlier messages to the server, with them.
    `previous_team` answered last; `waits_for` is its agent that asked the user something.
    """

    def __init__(
        self, archive: Archive | None, owner: Owner, conversation: Conversation | None, question: Question
    ) -> None:
        self.question = question
        self.previous_team: str | None = None
        self._archive: Final = archive
        self._resends = conversation is None or conversation.resends
        self._memory: Memory | None = None
        self._address = None
        if archive is not None and conversation is not None:
            self._address = Address(owner.key_id or "", owner.user_id or "", conversation.name)

    @property
    def waits_for(self) -> str | None:
        return self._memory.waits_for if self._memory is not None else None

    async def recall(self) -> None:
        """Find the memory that the question goes on from."""
        if self._archive is None or self._address is None:
            return
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                memories = await self._archive.conversations.recall(self._address)
        except Exception as exc:  # whatever a database driver raises
            _log.warning("conversation_not_recalled", error=type(exc).__name__)
            return
        if not memories:
            return
        self.previous_team = memories[0].team
        if not self._resends and all(turn.role == "system" for turn in self.question.history):
            self._go_on(memories[0])
            return
        standing = standing_of(self.question.history)
        for memory in memories:
            if standing is not None and _is_of(memory, standing):
                self._memory, self.previous_team = memory, memory.team
                return

    async def restore(self, team: object, team_id: str) -> bool:
        """Give a fresh team its memory. False where there is none for it: then it must read the messages."""
        if self._memory is None or self._memory.team != team_id or not isinstance(team, Stateful):
            self._memory = None
            return False
        try:
            await team.load_state(json.loads(self._memory.state))
        except Exception as exc:  # a team that was changed since: whatever its agents make of another's state
            _log.warning("state_not_restored", team=team_id, error=type(exc).__name__)
            self._memory = None
            return False
        return True

    async def keep(self, team: object, team_id: str, log: RunLog, handover: Handover | None = None) -> None:
        """Leave the conversation as it stands now."""
        if self._archive is None or self._address is None or not isinstance(team, Stateful):
            return
        try:
            state = handover.state if handover is not None and handover.state else await team.save_state()
            encoded = encode(state).encode("ascii")
            if len(encoded) > self._archive.max_state_bytes:
                _log.warning("state_too_large", team=team_id, size_bytes=len(encoded))
                return
            memory = self._memory_of(team_id, log, encoded, handover)
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._archive.conversations.keep(self._address, memory)
        except Exception as exc:  # a team's own save_state, or a database driver
            _log.warning("conversation_not_kept", team=team_id, error=type(exc).__name__)

    def _go_on(self, memory: Memory) -> None:
        """The client sent the new question only: what was said before it is known here."""
        told, systems = json.loads(memory.turns), self.question.history
        earlier = tuple(Turn(role, text) for role, text in told["turns"])
        self.question = replace(self.question, history=(*systems, *earlier))
        if fingerprint(systems) == told["systems"]:
            self._memory = memory

    def _memory_of(self, team_id: str, log: RunLog, state: bytes, handover: Handover | None) -> Memory:
        entries = log.since(0)
        asked = [*self.question.history, self.question.task]
        answer = next((entry.event for entry in reversed(entries) if isinstance(entry.event, FinalAnswer)), None)
        systems = fingerprint([turn for turn in asked if turn.role == "system"])
        turns = [[turn.role, turn.text] for turn in asked if turn.role in ("user", "assistant")]
        turns.append(["assistant", answer.content if answer is not None else ""])
        return Memory(
            team=team_id,
            fingerprint=fingerprint(asked),
            answers=answer_prints(entries),
            state=state,
            turns=encode({"systems": systems, "turns": turns}).encode("ascii"),
            waits_for=None if handover is None else handover.asker,
        )


def _is_of(memory: Memory, standing: Standing) -> bool:
    return memory.fingerprint == standing.fingerprint and standing.answer in memory.answers
