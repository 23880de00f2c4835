"""What the script `APPEND` is to do: nearly all that is written, at a fifth of the price of a `WriteOrder`.

It looks at nothing but the list of each run's events. That the runs are this process's, and that Redis has all events
before these, was found out by an earlier `WRITE`, and the number of the latest call shows that it is still so.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import msgpack

_encode: Final = msgpack.Encoder().encode


class Append(NamedTuple):
    """New events of one run, packed; `last` is the number of the last one. `is_viewed`: by another process."""

    run_id: str
    last: int
    is_viewed: bool
    payload: bytes


def append_arguments(appends: Sequence[Append]) -> list[bytes | int]:
    """Those with viewers have to stand first."""
    published = sum(each.is_viewed for each in appends)
    return [published, _encode([each.run_id for each in appends]), *(each.payload for each in appends)]
