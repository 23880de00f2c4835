"""Events as JSON, for whoever reads them outside this process.

Every event has `seq`, `run_id`, `type` and `timestamp` (ISO 8601, UTC); `agent` and `content` where an agent speaks. A
whole message that was streamed may be too long for one line: then its `content` is only its beginning, and `truncated`
is true; all of it stood in its tokens. Whatever else is cut is marked the same way.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from aiostream_server.events.model import Entry

_MAX_LINE_CHARS: Final = 60_000
_TRUNCATED_CHARS: Final = 4_000  # of 12 bytes each at worst
_TRUNCATED_FIELD_CHARS: Final = 500


def encode_entry(run_id: str, entry: Entry) -> str:
    """One line of ASCII JSON, shorter than 64 KiB: no line end of any kind can stand in it."""
    stamp = datetime.fromtimestamp(entry.timestamp, UTC).isoformat(timespec="milliseconds")
    body = {"seq": entry.seq, "run_id": run_id, "type": entry.event.type, "timestamp": stamp, **asdict(entry.event)}
    line = _dump(body)
    if len(line) > _MAX_LINE_CHARS and isinstance(body.get("content"), str):
        body |= {"content": body["content"][:_TRUNCATED_CHARS], "truncated": True}
        line = _dump(body)
    if len(line) > _MAX_LINE_CHARS:
        line = _dump({name: _cut(value) for name, value in body.items()} | {"truncated": True})
    return line


def _cut(value: object) -> object:
    return value[:_TRUNCATED_FIELD_CHARS] if isinstance(value, str) else value


def _dump(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), allow_nan=False)
