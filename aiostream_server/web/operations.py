"""The words that `openapi.json` describes operations in. https://spec.openapis.org/oas/v3.1.0"""

from typing import Any, Final

from aiostream_server.web.shapes import Schema, ref

SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKey": []}, {}]
HEADERS: Final = {
    "RequestId": {"description": "Also on every line of the log.", "schema": {"type": "string"}},
    "RunId": {"description": "Unguessable.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds.", "schema": {"type": "integer"}},
    "Replayed": {
        "description": "`true` where the run was there already, started with the same `Idempotency-Key`; else absent.",
        "schema": {"const": "true"},
    },
    "Location": {"description": "Where the run is served.", "schema": {"type": "string"}},
}
_HEADER_NAMES: Final = {
    "RequestId": "X-Request-ID",
    "RunId": "X-Run-Id",
    "RetryAfter": "Retry-After",
    "Replayed": "Idempotent-Replayed",
    "Location": "Location",
}
_REFUSALS: Final = {
    "400": "The request is wrong; `param` says where.",
    "401": "No API key, or a wrong one.",
    "403": "The key may not do this; or there are no keys, and the caller is not on this machine.",
    "404": "No such model, the message lists those there are; or no such run or file of this caller's.",
    "408": "The body did not arrive in time.",
    "409": "The `Idempotency-Key` was used for another request; or the conversation is busy.",
    "410": "The run is over, and its events are kept no longer.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or it is compressed.",
    "429": "Too many runs; see `Retry-After`.",
    "500": "A bug of the server's.",
    "502": "The team or its model failed.",
    "503": "The server is shutting down; see `Retry-After`.",
    "504": "The team or its model took too long.",
}

READING: Final = ("400", "401", "403", "500")
SENDING: Final = (*READING, "408", "413", "415", "503")
ASKING: Final = (*SENDING, "404", "409", "429")

IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Whoever asks again with the same key and the same body is given the run that is there already.",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$", "minLength": 1, "maxLength": 255},
}

CONVERSATION_ID: Final[dict[str, Any]] = {
    "name": "X-Conversation-Id",
    "in": "header",
    "description": "Your name for what the question is part of: the team goes on from what it remembers of it.",
    "required": False,
    "schema": {"type": "string", "pattern": "^[ -~]*$", "maxLength": 255},
}


def parameter(place: str, name: str, description: str, schema: Schema) -> dict[str, Any]:
    """`place` is path, query or header; only what is in a path is required."""
    required = place == "path"
    return {"name": name, "in": place, "description": description, "required": required, "schema": schema}


def json_of(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": ref(schema)}}


def events_of(schema: str) -> dict[str, Any]:
    """Server-sent events."""
    return {"text/event-stream": {"schema": ref(schema)}}


def response(description: str, content: dict[str, Any], *headers: str) -> dict[str, Any]:
    shown = {_HEADER_NAMES[name]: {"$ref": f"#/components/headers/{name}"} for name in ("RequestId", *headers)}
    return {"description": description, "headers": shown, "content": content}


def refusals(*statuses: str) -> dict[str, Any]:
    """Errors, in OpenAI's shape."""
    return {
        status: response(_REFUSALS[status], json_of("Error"), *(["RetryAfter"] if status in ("429", "503") else []))
        for status in sorted(statuses)
    }
