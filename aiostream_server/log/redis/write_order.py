"""The arguments of the script `WRITE`, for one run."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Chunk(Protocol):
    """Packed events; `last` is the number of the last one."""

    @property
    def last(self) -> int: ...

    @property
    def payload(self) -> bytes: ...


class WriteOrder(NamedTuple):
    """What `WRITE` is to do for one run. `expected` is the number of the last event that Redis should have; events
    below `keep_from` are dropped; it is -1 where they are another process's, which cannot be written again.
    `retention_ms` is -1 for a run that goes on."""

    run_id: str
    expected: int
    reserved: int
    keep_from: int
    retention_ms: int
    is_viewed: bool

    def arguments(
        self,
        chunks: Sequence[Chunk],
        *,
        birth: bytes | None,
        card: bytes | None,
        request: Sequence[str | bytes] | None = None,
    ) -> list[str | bytes]:
        """Redis takes the `birth` where it does not know the run, a new `card`, and the `request` that it is to keep:
        how often its turn has begun again, its team, and the request. An empty one: it keeps none any more."""
        run_id, expected, reserved, keep_from, retention_ms, is_viewed = self
        words = f"{run_id} {expected} {reserved} {keep_from} {retention_ms} {is_viewed:d} {birth is not None:d}"
        lasts = "".join(f" {chunk.last}" for chunk in chunks)
        keeps = 0 if request is None else 1 if request else 2
        arguments: list[str | bytes] = [f"{words} {card is not None:d} {keeps}{lasts}"]
        arguments += (each for each in (birth, card, *(request or ())) if each is not None)
        arguments += (chunk.payload for chunk in chunks)
        return arguments
