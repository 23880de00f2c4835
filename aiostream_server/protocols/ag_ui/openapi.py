"""What `openapi.json` says of AG-UI."""

from typing import Any, Final

from aiostream_server.protocols.ag_ui.messages import MESSAGE_SHAPES, PART_SHAPES
from aiostream_server.protocols.ag_ui.request import RunAgentInput
from aiostream_server.protocols.json_schema import Schema, request_schemas
from aiostream_server.protocols.openapi import (
    ASKING,
    READING,
    Described,
    asking_headers,
    events,
    in_path,
    json_text,
    object_of,
    operation,
    refused,
    response,
)

_TYPES: Final = (
    *("RUN_STARTED", "RUN_FINISHED", "RUN_ERROR", "SUBAGENT_STARTED", "SUBAGENT_FINISHED", "CUSTOM"),
    *("STATE_SNAPSHOT", "MESSAGES_SNAPSHOT"),
    *(f"TEXT_MESSAGE_{step}" for step in ("START", "CONTENT", "END")),
    *("REASONING_START", "REASONING_END", *(f"REASONING_MESSAGE_{step}" for step in ("START", "CONTENT", "END"))),
    *(f"TOOL_CALL_{step}" for step in ("START", "ARGS", "END", "RESULT")),
)
_EVENT: Final[Schema] = {
    "description": "https://docs.ag-ui.com/concepts/events",
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": [*_TYPES]}},
}


def described() -> Described:
    schemas = {
        **request_schemas(RunAgentInput, *MESSAGE_SHAPES, *PART_SHAPES),
        "AGUIEvent": _EVENT,
        "AGUIFrame": {"description": "At a run's end another may begin.", **object_of(data=json_text("AGUIEvent"))},
    }
    paths = {"/v1/ag-ui/{model}": {"post": _run()}, "/v1/ag-ui/{model}/{thread}": {"get": _connect()}}
    return Described(paths, schemas)


def _run() -> dict[str, Any]:
    answer = response("The run's events.", events("AGUIFrame"), "X-Run-Id", "Idempotent-Replayed")
    return operation(
        "runAgent",
        "Run a team as an AG-UI agent.",
        {"200": answer, **refused(*ASKING)},
        parameters=[in_path("model"), *asking_headers()],
        body="RunAgentInput",
    )


def _connect() -> dict[str, Any]:
    nothing = {"description": "Nothing is known of this thread."}
    return operation(
        "connectAgent",
        "A whole thread: its runs from their first event, the last one live.",
        {
            "200": response("Its events.", events("AGUIFrame"), "X-Run-Id"),
            "204": nothing,
            **refused(*READING),
        },
        parameters=[in_path("model"), in_path("thread")],
    )
