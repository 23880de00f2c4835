"""Events as JSON, for whoever reads them outside this process.

Every event has `seq`, `run_id`, `type` and `timestamp` (ISO 8601, UTC); `agent` and `content` where an agent speaks.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime

from aiostream_server.events.model import Entry


def encode_entry(run_id: str, entry: Entry) -> str:
    """One line of ASCII JSON: no line end of any kind can stand in it."""
    stamp = datetime.fromtimestamp(entry.timestamp, UTC).isoformat(timespec="milliseconds")
    head = {"seq": entry.seq, "run_id": run_id, "type": entry.event.type, "timestamp": stamp}
    return json.dumps(head | asdict(entry.event), separators=(",", ":"), allow_nan=False)
