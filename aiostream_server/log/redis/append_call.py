"""What the script `APPEND` is to do: nearly all that is written, at a fifth of the price of a `WriteOrder`.

It looks at nothing but the stream of each run. That the runs are this process's, and that Redis has all events before
these, was found out by an earlier `WRITE`, and the number of the latest call shows that it is still so.
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
    """Those with viewers have to stand first. Numbers are sent as text, which Redis need not make of them."""
    published = sum(each.is_viewed for each in appends)
    named = [word for each in appends for word in (each.run_id, f"{each.last}-0")]
    return [published, _encode(named), *(each.payload for each in appends)]
