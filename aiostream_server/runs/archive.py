"""The archive: what is remembered of conversations, and what requests ask about them without a run.

`ConversationMemory` reads and writes it for a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Turn
from aiostream_server.runs.kept_turns import unpacked_turns
from aiostream_server.store.conversations import Address, Conversations
from aiostream_server.store.database import ConversationsUnavailable
from aiostream_server.store.off_loop import off_loop

SMALL: Final = 512 * 1024
"""Characters or bytes: to read or write these takes a millisecond."""
OTHER_FORMAT: Final = (ValueError, TypeError, AttributeError, LookupError)
"""What reading a memory of another version's format raises."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Archive:
    """Where memories are kept. Of a state larger than `max_state_bytes` only the messages are kept."""

    conversations: Conversations
    max_state_bytes: int


def address_of(owner: Owner, conversation: str) -> Address:
    return Address(owner.key_id or "", owner.user_id or "", conversation)


async def is_remembered(archive: Archive, owner: Owner, conversation: str) -> bool:
    """True also if the store cannot tell: then the run tells the user."""
    try:
        return await archive.conversations.latest(address_of(owner, conversation)) is not None
    except ConversationsUnavailable:
        return True


async def waits_for_reply(archive: Archive, owner: Owner, conversation: str) -> bool:
    """Whether the team that answered last waits for the user. True also if the store cannot tell."""
    try:
        memory = await archive.conversations.latest(address_of(owner, conversation))
    except ConversationsUnavailable:
        return True
    return memory is not None and memory.waits_for is not None


async def remembered_turns(archive: Archive, owner: Owner, conversation: str) -> Sequence[Turn]:
    """The earliest first; empty if there are none, or the store cannot tell."""
    try:
        memory = await archive.conversations.latest(address_of(owner, conversation))
        return () if memory is None else await off_loop(len(memory.turns) > SMALL, unpacked_turns, memory.turns)
    except (ConversationsUnavailable, *OTHER_FORMAT) as exc:
        _log.warning("conversation_not_recalled", error=type(exc).__name__)
        return ()


async def forget(archive: Archive, owner: Owner, conversation: str) -> bool:
    """Whether there was something to forget."""
    names = address_of(owner, conversation)._asdict()
    return await archive.conversations.delete(**names) > 0


async def withdraw(archive: Archive, owner: Owner, conversation: str, *, asked_until: float) -> None:
    """Spend the question that the conversation waits with, if it was asked until that Unix time: no later message is
    taken for the reply. Raises `ConversationsUnavailable`."""
    address = address_of(owner, conversation)
    memory = await archive.conversations.latest(address)
    if memory is not None and memory.waits_for is not None and memory.updated_at <= asked_until:
        await archive.conversations.spend(address, memory)
