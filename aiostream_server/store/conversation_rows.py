"""What the conversation store keeps of a conversation, and how the columns hold the large parts of it."""

import json
import zlib
from dataclasses import dataclass
from typing import Final, NamedTuple

_FASTEST: Final = 1


class Address(NamedTuple):
    """Names a conversation: key id and user id ('' for none), and the client's own name for the conversation."""

    key_id: str
    user_id: str
    conversation: str


@dataclass(frozen=True, slots=True)
class TeamMemory:
    """What a team remembers after one answer. `state` and `turns` are JSON that the store does not read."""

    team: str
    """The id of the team."""
    fingerprint: str
    """A hash of the messages up to the question that was answered."""
    answers: tuple[str, ...]
    """Hashes of the forms in which a client may send the answer back."""
    state: bytes
    turns: bytes
    """The texts of the conversation."""
    waits_for: str | None = None
    """The agent that has asked the user something."""
    updated_at: float = 0.0
    """Unix time; set by `Conversations.keep`."""


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """One conversation as it is stored, expired states included.

    `team` and `updated_at` are those of the newest state; `size_bytes` is the compressed size of all states.
    """

    address: Address
    team: str
    states: int
    size_bytes: int
    updated_at: float


class UnreadableColumn(Exception):
    """The column does not hold what was packed."""


def pack(content: bytes) -> bytes:
    """Compress, to about a third: 0.7 ms for 100 kB of JSON, without the interpreter's lock.

    zlib's default level takes 4 ms, and its result is a seventh smaller.
    """
    return zlib.compress(content, _FASTEST)


def unpack(column: object) -> bytes:
    """Raises `UnreadableColumn` if any byte has changed: zlib keeps a checksum."""
    try:
        return zlib.decompress(column)  # type: ignore[arg-type] # SQLite's columns hold anything
    except (zlib.error, TypeError) as exc:
        raise UnreadableColumn(str(exc)) from exc


def pack_answers(answers: tuple[str, ...]) -> str:
    return json.dumps(answers)


def unpack_answers(column: object) -> tuple[str, ...]:
    """Raises `UnreadableColumn`."""
    try:
        answers = json.loads(column)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError) as exc:
        raise UnreadableColumn(str(exc)) from exc
    if isinstance(answers, list) and all(isinstance(answer, str) for answer in answers):
        return tuple(answers)
    raise UnreadableColumn("answers: expected a list of texts")
