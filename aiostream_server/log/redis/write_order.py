"""What the script `WRITE` is to do, and its arguments."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from msgspec import msgpack

_REMEMBERED_MS: Final = 86_400_000  # so long behind its retention the owner of a run is known
_encode: Final = msgpack.Encoder().encode


class PackedEvents(Protocol):
    """Packed events; `last` is the number of the last one, with which the payload begins."""

    @property
    def last(self) -> int: ...

    @property
    def payload(self) -> bytes: ...


class Birth(NamedTuple):
    """What Redis takes of a run that it does not know. `owner` is JSON, and `created` milliseconds; the others are
    digests, empty for none. `is_late`: it is told the turn and the idempotency key, too: it was away when
    they were taken or has lost them."""

    owner: str
    created: str
    digest: str
    talk: str
    turn: str
    start: str
    is_late: bool
    fingerprint: str


class WriteOrder(NamedTuple):
    """What `WRITE` is to do for one run. `expected` is the number of the last event that Redis should have; events
    below `keep_from` are dropped; it is -1 where they are another process's, which cannot be written again.
    `retention_ms` is -1 for a run that goes on. A new `card` replaces the former one.

    `request` is what Redis is to keep: how often its turn has begun again, its team, and the request. An empty one: it
    keeps none any more. `None` changes nothing.
    """

    run_id: str
    expected: int
    reserved: int
    keep_from: int
    retention_ms: int
    is_viewed: bool
    chunks: Sequence[PackedEvents]
    birth: Birth | None = None
    card: bytes | None = None
    request: tuple[str, str, bytes] | tuple[()] | None = None

    @property
    def last(self) -> int:
        """The number of the last event that Redis has then."""
        return self.chunks[-1].last if self.chunks else self.expected


def write_arguments(orders: Sequence[WriteOrder]) -> list[bytes]:
    """All orders in one argument, since each costs Redis and this process time; behind it what is binary, which Redis
    does not unpack: of each order the payloads, the card, if any, and the request, if any."""
    told, binary = [], []
    for order in orders:
        told.append(
            (
                order.run_id,
                order.expected,
                str(order.last),
                str(order.reserved),
                order.keep_from,
                order.is_viewed,
                len(order.chunks),
                order.card is not None,
                order.birth or False,
                False if order.request is None else order.request[:2],
                order.retention_ms >= 0 and (str(order.retention_ms), str(order.retention_ms + _REMEMBERED_MS)),
            )
        )
        binary += [chunk.payload for chunk in order.chunks]
        if order.card is not None:
            binary.append(order.card)
        if order.request:
            binary.append(order.request[2])
    return [_encode(told), *binary]
