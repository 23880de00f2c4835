"""Judges recorded streams by AG-UI's models for Python: each line of the input is a stream as a JSON string."""

import json
import sys

from ag_ui.core import Event
from pydantic import TypeAdapter

adapter = TypeAdapter(Event)
for line in sys.stdin:
    frames = [json.loads(frame.removeprefix("data: ")) for frame in json.loads(line).split("\n\n") if frame]
    said = None
    try:
        for frame in frames:
            adapter.validate_python(frame)
    except ValueError as exc:
        said = str(exc)
    print(json.dumps({"said": said, "first": frames[0]["type"], "last": frames[-1]["type"]}))
