"""What one server-sent event of a run says. It may be anything: who answers at a URL need not be such a server."""

import json
from dataclasses import dataclass

from aiostream_server.client.errors import BadAnswer
from aiostream_server.events import Event
from aiostream_server.events.codec import decode_event


@dataclass(frozen=True, slots=True)
class Frame:
    """`event` is None where a newer server says what this client has no word for. Of a `truncated` one the line held
    only the beginning."""

    seq: int
    type: str
    event: Event | None
    truncated: bool


def read_frame(data: str) -> Frame:
    """Raises `BadAnswer`."""
    try:
        body = json.loads(data)
        if type(seq := body["seq"]) is not int:
            raise ValueError(f"seq: expected an integer, got {seq!r:.80}")
        return Frame(seq, str(body["type"]), decode_event(body), body.get("truncated") is True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise BadAnswer(f"the answer is no stream of a run's events: {exc!r:.200}") from exc
