"""What `openapi.json` says of a path: the pieces that every protocol's description is made of.

https://spec.openapis.org/oas/v3.1.0
"""

from typing import Any, Final, NamedTuple

from aiostream_server.protocols.json_schema import Schema, ref


class Described(NamedTuple):
    """One protocol's paths, and its schemas by component name."""

    paths: dict[str, Any]
    schemas: dict[str, Schema]


TEXT: Final[Schema] = {"type": "string"}
_NOT_EMPTY: Final[Schema] = {"type": "string", "minLength": 1}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKey": []}, {}]
_HEADERS: Final[dict[str, tuple[str, Schema]]] = {
    "X-Request-ID": ("Also on every line of the log.", TEXT),
    "X-Run-Id": ("Unguessable.", TEXT),
    "Retry-After": ("Seconds.", {"type": "integer"}),
    "x-should-retry": ("A client library must not repeat the request by itself.", {"const": "false"}),
    "WWW-Authenticate": ("How to send a key.", {"const": "Bearer"}),
    "Idempotent-Replayed": (
        "`true` where the same `Idempotency-Key` had started the run; else absent.",
        {"const": "true"},
    ),
    "Location": ("Where the run is served.", TEXT),
}
_REFUSALS: Final = {
    "400": "The request is wrong; `param` says where. Or the conversation is too long for the model.",
    "401": "No API key, or a wrong one.",
    "403": "The key may not do this; or there are no keys, and the caller is not on this machine.",
    "404": "No such model (the message lists those there are), or no such run or file of this caller's.",
    "408": "The body did not arrive in time.",
    "409": "The `Idempotency-Key` was used for another request; or the conversation is busy.",
    "410": "The run is over, and its events are kept no longer.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or it is compressed.",
    "422": "The answer could not be put into the JSON that was asked for.",
    "429": "Too many runs, or the rate limit of the model provider; see `Retry-After`.",
    "500": "A bug of the server's.",
    "502": "The team or its model failed.",
    "503": "The server is shutting down, or the model is overloaded; see `Retry-After`.",
    "504": "The team or its model took too long.",
}
_ADVICE: Final = {
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After", "x-should-retry"),
    "500": ("x-should-retry",),
    "502": ("x-should-retry",),
    "503": ("Retry-After", "x-should-retry"),
    "504": ("x-should-retry",),
}
READING: Final = ("400", "401", "403", "500")
SENDING: Final = (*READING, "408", "413", "415", "503")
ASKING: Final = (*SENDING, "404", "409", "429")
HEADERS: Final = {name: {"description": said, "schema": schema} for name, (said, schema) in _HEADERS.items()}


def object_of(**properties: Schema) -> Schema:
    return {"type": "object", "required": [*properties], "properties": properties}


def json_text(*schemas: str) -> Schema:
    """A text that holds JSON."""
    content = {"anyOf": [ref(schema) for schema in schemas]}
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": content}


def get(
    name: str, summary: str, schema: str, *refusals: str, parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    answers = {"200": response(summary, json_body(schema)), **refused(*READING, *refusals)}
    return operation(name, summary, answers, parameters=parameters)


def operation(
    name: str,
    summary: str,
    responses: dict[str, Any],
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: str | None = None,
) -> dict[str, Any]:
    asked = {} if body is None else {"requestBody": {"required": True, "content": json_body(body)}}
    given = {} if parameters is None else {"parameters": parameters}
    return {"operationId": name, "summary": summary, "security": _SECURITY, **given, **asked, "responses": responses}


def asking_headers() -> list[dict[str, Any]]:
    conversation = {"type": "string", "pattern": "^[ -~]*$", "maxLength": 255}
    key = {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$", "minLength": 1, "maxLength": 255}
    goes_on = "Your name for what the question is part of: the team goes on from what it remembers of it."
    replayed = "A request that repeats the key and the body is given the run that the first one started."
    return [
        parameter("header", "X-Conversation-Id", goes_on, conversation),
        parameter("header", "Idempotency-Key", replayed, key),
    ]


def parameter(place: str, name: str, description: str, schema: Schema) -> dict[str, Any]:
    """`place` is path, query or header; only what is in a path is required."""
    required = place == "path"
    return {"name": name, "in": place, "description": description, "required": required, "schema": schema}


def in_path(name: str) -> dict[str, Any]:
    return parameter("path", name, "Its id.", _NOT_EMPTY)


def json_body(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": ref(schema)}}


def events(schema: str) -> dict[str, Any]:
    return {"text/event-stream": {"schema": ref(schema)}}


def response(description: str, content: dict[str, Any], *headers: str) -> dict[str, Any]:
    shown = {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *headers)}
    return {"description": description, "headers": shown, "content": content}


def refused(*statuses: str) -> dict[str, Any]:
    """Errors, in OpenAI's shape."""
    return refused_as("ErrorBody", *statuses)


def refused_as(schema: str, *statuses: str) -> dict[str, Any]:
    """Errors, in a protocol's own shape."""
    return {
        status: response(_REFUSALS[status], json_body(schema), *_ADVICE.get(status, ())) for status in sorted(statuses)
    }
