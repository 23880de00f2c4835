"""A run as the server tells of it when it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiostream_server.client.errors import BadAnswer
from aiostream_server.events import FinishReason


@dataclass(frozen=True, slots=True)
class RunInfo:
    """`reason` is None while it is running, `team` while that is being decided; `created_at` is Unix time in seconds,
    `last_seq` the number of the latest event."""

    id: str
    status: Literal["running", "finished"]
    reason: FinishReason | None
    model: str
    team: str | None
    created_at: float
    last_seq: int


def read_info(body: Mapping[str, Any]) -> RunInfo:
    """Raises `BadAnswer`."""
    try:
        return RunInfo(**{name: body[name] for name in RunInfo.__slots__})
    except (KeyError, TypeError) as exc:
        raise BadAnswer(f"the answer is no run: {exc!r:.200}") from exc
