"""Judges recorded streams by AG-UI's models for Python and by `ag-ui-validate`.

Each line of the input is a stream as a JSON string.
"""

import json
import sys

from ag_ui.core import Event
from ag_ui_validate import Validator, ValidatorOptions
from pydantic import TypeAdapter

AS_THE_MODEL_WROTE_THEM = {"AGUI204": "off"}  # arguments that are no JSON, or were cut

adapter = TypeAdapter(Event)
for line in sys.stdin:
    frames = [json.loads(frame.removeprefix("data: ")) for frame in json.loads(line).split("\n\n") if frame]
    said = None
    try:
        for frame in frames:
            adapter.validate_python(frame)
    except ValueError as exc:
        said = str(exc)
    validator = Validator(ValidatorOptions(severity_overrides=AS_THE_MODEL_WROTE_THEM))
    for frame in frames:
        validator.feed(frame)
    validator.finalize()
    found = [each for each in validator.report().diagnostics if each.severity != "info"]
    said = said or ("; ".join(f"{each.rule}: {each.message}" for each in found) or None)
    print(json.dumps({"said": said, "first": frames[0]["type"], "last": frames[-1]["type"]}))
