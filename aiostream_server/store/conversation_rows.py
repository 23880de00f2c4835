"""The rows of the conversation store."""

from dataclasses import dataclass
from typing import NamedTuple


class Address(NamedTuple):
    """Whose conversation: key id and user id ('' where there is none), and the client's own name for it."""

    key_id: str
    user_id: str
    conversation: str


@dataclass(frozen=True, slots=True)
class Memory:
    """A team's state after one answer. `state` and `turns` are JSON that the store does not read."""

    team: str
    """The id of the team whose state it is."""
    fingerprint: str
    """Of the messages up to the question that was answered."""
    answers: tuple[str, ...]
    """Hashes of the forms in which the answer may come back."""
    state: bytes
    turns: bytes
    """The texts of the conversation."""
    waits_for: str | None = None
    """The agent that asked the user something."""
    updated_at: float = 0.0
    """Unix time; set by `Conversations.keep`."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One conversation as it is stored, what has expired since included: the team of its newest state, how many states
    there are, the bytes that they take (compressed), and when the newest was kept."""

    address: Address
    team: str
    states: int
    size_bytes: int
    updated_at: float
