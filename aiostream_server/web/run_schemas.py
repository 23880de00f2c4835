"""The JSON schemas of `/v1/runs`, for `web.openapi`."""

from typing import Any, Final, get_args

from aiostream_server.config.model import OnDisconnect
from aiostream_server.events import FinishReason
from aiostream_server.web.shapes import COUNT, FLAG, TEXT, USAGE, Schema, list_of, one_of, or_null, ref, shape
from aiostream_server.wire.event_schemas import EVENT_KINDS, event_names, event_schemas
from aiostream_server.wire.runs import CONVERSATION_PATTERN, MAX_CONVERSATION_CHARS

_CONVERSATION: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_CONVERSATION_CHARS,
    "pattern": CONVERSATION_PATTERN,
}
_ON_DISCONNECT: Final = one_of(*get_args(OnDisconnect))

_RUN: Final = shape(
    {
        "id": TEXT,
        "object": {"const": "run"},
        "status": one_of("running", "finished"),
        "reason": or_null(one_of(*get_args(FinishReason))),
        "model": TEXT,
        "team": or_null(TEXT),
        "conversation": or_null(TEXT),
        "on_disconnect": _ON_DISCONNECT,
        "created_at": COUNT,
        "duration_s": or_null({"type": "number", "minimum": 0}),
        "usage": or_null(USAGE),
        "last_seq": COUNT,
        "error": or_null(shape({"code": TEXT, "message": TEXT})),
        "events_url": TEXT,
    }
)
_DATA: Final[Schema] = {
    "type": "string",
    "contentMediaType": "application/json",
    "contentSchema": {"anyOf": [ref(name) for name in event_names()]},
}


def run_schemas(chat_request: Schema) -> dict[str, Any]:
    """A run is asked for with a chat request and three fields more."""
    own = {
        "background": or_null(FLAG),
        "on_disconnect": or_null(_ON_DISCONNECT),
        "conversation": or_null(_CONVERSATION),
    }
    return {
        "RunRequest": {**chat_request, "properties": {**chat_request["properties"], **own}},
        "Run": _RUN,
        "Runs": shape({"object": {"const": "list"}, "data": list_of(ref("Run"))}),
        "RunEvent": {
            "description": "`run_finished` is the last; there is no `[DONE]`.",
            **shape(
                {"event": one_of(*EVENT_KINDS), "id": {"type": "string", "pattern": "^[1-9][0-9]*$"}, "data": _DATA}
            ),
        },
        **event_schemas(),
    }
