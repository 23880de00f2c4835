"""`GET /openapi.json`: what is served, for clients and for fuzzers. https://spec.openapis.org/oas/v3.1.0

Schemas are derived from the types of the protocols. Every path is served under `/api`, too.
"""

from functools import cache
from typing import Any, Final, Literal, NotRequired, TypedDict, get_args

from aiostream_server import __version__
from aiostream_server.config.model import Presentation
from aiostream_server.events import EVENTS
from aiostream_server.protocols.chat.errors import ErrorBody
from aiostream_server.protocols.chat.messages import MESSAGE_SHAPES
from aiostream_server.protocols.chat.models import ModelList, ModelObject
from aiostream_server.protocols.chat.request import ChatRequest
from aiostream_server.protocols.chat.stream import Chunk
from aiostream_server.protocols.chat.whole import Completion
from aiostream_server.protocols.json_schema import Natural, Schema, Seconds, answer_schemas, ref, request_schemas
from aiostream_server.protocols.runs.request import DEFAULT_LISTED, MAX_CURSOR, MAX_LISTED, RunBody
from aiostream_server.protocols.runs.schemas import component, event_schemas
from aiostream_server.protocols.runs.whole import RunList, RunObject
from aiostream_server.web.traffic import Phase

_TEXT: Final[Schema] = {"type": "string"}
_NOT_EMPTY: Final[Schema] = {"type": "string", "minLength": 1}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKey": []}, {}]
_HEADERS: Final[dict[str, tuple[str, Schema]]] = {
    "X-Request-ID": ("Also on every line of the log.", _TEXT),
    "X-Run-Id": ("Unguessable.", _TEXT),
    "Retry-After": ("Seconds.", {"type": "integer"}),
    "x-should-retry": ("A client library must not repeat the request by itself.", {"const": "false"}),
    "Idempotent-Replayed": (
        "`true` where the same `Idempotency-Key` had started the run; else absent.",
        {"const": "true"},
    ),
    "Location": ("Where the run is served.", _TEXT),
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
    "429": ("Retry-After", "x-should-retry"),
    "500": ("x-should-retry",),
    "502": ("x-should-retry",),
    "503": ("Retry-After", "x-should-retry"),
    "504": ("x-should-retry",),
}
_READING: Final = ("400", "401", "403", "500")
_SENDING: Final = (*_READING, "408", "413", "415", "503")
_ASKING: Final = (*_SENDING, "404", "409", "429")
_FILE_TYPES: Final = (
    "image/png",
    "image/svg+xml",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/octet-stream",
)


class Health(TypedDict):
    status: Literal["ok"]


class Readiness(TypedDict):
    status: Phase
    live_runs: Natural
    viewers: Natural
    queued: Natural
    loop_lag_s: NotRequired[Seconds]
    loop_lag_max_s: NotRequired[Seconds]


@cache
def document() -> dict[str, Any]:
    """The same for every caller: it describes shapes, not teams."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "aiostream-server", "version": __version__, "description": "AutoGen teams as OpenAI models."},
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "headers": {name: {"description": said, "schema": schema} for name, (said, schema) in _HEADERS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _schemas() -> dict[str, Schema]:
    answers = (Completion, Chunk, ModelObject, ModelList, RunObject, RunList, ErrorBody, Health, Readiness)
    frames = {"anyOf": [_json_text("Chunk", "ErrorBody"), {"const": "[DONE]"}]}
    event: Schema = {"event": {"enum": [*EVENTS]}, "id": {"type": "string", "pattern": "^[1-9][0-9]*$"}}
    return {
        **request_schemas(ChatRequest, RunBody, *MESSAGE_SHAPES),
        **answer_schemas(*answers),
        **event_schemas(),
        "ChatEvent": {
            "description": "A chunk each, the last one with an error if the run failed, and `[DONE]` behind it.",
            **_object(data=frames),
        },
        "RunEvent": {
            "description": "`run_finished` is the last; there is no `[DONE]`.",
            **_object(**event, data=_json_text(*map(component, EVENTS))),
        },
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": [*properties], "properties": properties}


def _json_text(*schemas: str) -> Schema:
    """A text that holds JSON."""
    content = {"anyOf": [ref(schema) for schema in schemas]}
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": content}


def _paths() -> dict[str, Any]:
    return {
        "/v1/chat/completions": {"post": _create_completion()},
        "/v1/models": {"get": _get("listModels", "The models that this key may use.", "ModelList")},
        "/v1/models/{model}": {
            "get": _get("retrieveModel", "One model.", "ModelObject", "404", parameters=[_in_path("model")])
        },
        "/v1/runs": {"post": _create_run(), "get": _list_runs()},
        "/v1/runs/{run_id}": {"get": _of_run("retrieveRun", "One run.", _READING)},
        "/v1/runs/{run_id}/cancel": {
            "post": _of_run("cancelRun", "End a run. One that is over stays as it is.", _SENDING)
        },
        "/v1/runs/{run_id}/events": {"get": _stream_events()},
        "/v1/files/{file_id}": {"get": _retrieve_file()},
        "/healthz": {"get": _open("healthz", "The process lives.", {"200": "Health"})},
        "/readyz": {"get": _open("readyz", "New questions are taken.", {"200": "Readiness", "503": "Readiness"})},
        "/metrics": {"get": _metrics()},
    }


def _create_completion() -> dict[str, Any]:
    shown = {"type": "string", "enum": [*get_args(Presentation)]}
    content = {**_json("Completion"), **_events("ChatEvent")}
    return _operation(
        "createChatCompletion",
        "Ask a team; streamed as server-sent events, or as one completion.",
        {
            "200": _response("The answer.", content, "X-Run-Id", "Idempotent-Replayed"),
            **_refused(*_ASKING, "422", "502", "504"),
        },
        parameters=[_parameter("header", "X-Presentation", "How the run is shown.", shown), *_asking_headers()],
        body="ChatRequest",
    )


def _create_run() -> dict[str, Any]:
    headers = ("X-Run-Id", "Idempotent-Replayed")
    return _operation(
        "createRun",
        "Start a run: its events as server-sent events; or, in the background, where they are.",
        {
            "200": _response("Its events, to the last.", _events("RunEvent"), *headers),
            "202": _response("It was started in the background.", _json("RunObject"), *headers, "Location"),
            **_refused(*_ASKING),
        },
        parameters=_asking_headers(),
        body="RunBody",
    )


def _list_runs() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": DEFAULT_LISTED}
    parameters = [_parameter("query", "limit", "How many.", limit)]
    return _get("listRuns", "The caller's runs, newest first.", "RunList", parameters=parameters)


def _of_run(name: str, summary: str, refusals: tuple[str, ...]) -> dict[str, Any]:
    answers = {"200": _response("The run.", _json("RunObject"), "X-Run-Id"), **_refused(*refusals, "404", "410")}
    return _operation(name, summary, answers, parameters=[_in_path("run_id")])


def _stream_events() -> dict[str, Any]:
    cursor = {"type": "integer", "minimum": 0, "maximum": MAX_CURSOR}
    return _operation(
        "streamRunEvents",
        "A run's events behind a number: first a replay, then live.",
        {
            "200": _response("The events.", _events("RunEvent"), "X-Run-Id"),
            "204": {"description": "The run is over, and `Last-Event-ID` is its last event."},
            **_refused(*_READING, "404", "410"),
        },
        parameters=[
            _in_path("run_id"),
            _parameter("query", "starting_after", "The last number that the client has.", cursor),
            _parameter("header", "Last-Event-ID", "The same; where both are sent they must agree.", cursor),
            _parameter("query", "expires", "Unix time until which the link holds; with `signature`.", _TEXT),
            _parameter("query", "signature", "Instead of an API key; a wrong one is a 404.", _TEXT),
        ],
    )


def _retrieve_file() -> dict[str, Any]:
    content: dict[str, Any] = {media_type: {"schema": {}} for media_type in _FILE_TYPES}
    return _operation(
        "retrieveFile",
        "A picture or another file that a run left: for the run's owner, or with the link's signature.",
        {
            "200": _response("The file.", content),
            "304": {"description": "It is what `If-None-Match` names."},
            **_refused(*_READING, "404"),
        },
        parameters=[
            _in_path("file_id"),
            _parameter("query", "expires", "Unix time until which the link holds; with `signature`.", _TEXT),
            _parameter("query", "signature", "Instead of an API key; a wrong one is a 404.", _TEXT),
        ],
    )


def _metrics() -> dict[str, Any]:
    content = {"text/plain": {"schema": _TEXT}, "application/openmetrics-text": {"schema": _TEXT}}
    return _operation(
        "metrics",
        "What Prometheus reads; with keys, for one that is made for it. 404 where it is switched off.",
        {"200": _response("All figures.", content), **_refused(*_READING, "404")},
    )


def _get(
    name: str, summary: str, schema: str, *refusals: str, parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    answers = {"200": _response(summary, _json(schema)), **_refused(*_READING, *refusals)}
    return _operation(name, summary, answers, parameters=parameters)


def _open(name: str, summary: str, bodies: dict[str, str]) -> dict[str, Any]:
    """Needs no key."""
    answers = {status: _response(summary, _json(schema)) for status, schema in bodies.items()}
    return _operation(name, summary, answers) | {"security": []}


def _operation(
    name: str,
    summary: str,
    responses: dict[str, Any],
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: str | None = None,
) -> dict[str, Any]:
    asked = {} if body is None else {"requestBody": {"required": True, "content": _json(body)}}
    given = {} if parameters is None else {"parameters": parameters}
    return {"operationId": name, "summary": summary, "security": _SECURITY, **given, **asked, "responses": responses}


def _asking_headers() -> list[dict[str, Any]]:
    conversation = {"type": "string", "pattern": "^[ -~]*$", "maxLength": 255}
    key = {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$", "minLength": 1, "maxLength": 255}
    goes_on = "Your name for what the question is part of: the team goes on from what it remembers of it."
    replayed = "A request that repeats the key and the body is given the run that the first one started."
    return [
        _parameter("header", "X-Conversation-Id", goes_on, conversation),
        _parameter("header", "Idempotency-Key", replayed, key),
    ]


def _parameter(place: str, name: str, description: str, schema: Schema) -> dict[str, Any]:
    """`place` is path, query or header; only what is in a path is required."""
    required = place == "path"
    return {"name": name, "in": place, "description": description, "required": required, "schema": schema}


def _in_path(name: str) -> dict[str, Any]:
    return _parameter("path", name, "Its id.", _NOT_EMPTY)


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": ref(schema)}}


def _events(schema: str) -> dict[str, Any]:
    return {"text/event-stream": {"schema": ref(schema)}}


def _response(description: str, content: dict[str, Any], *headers: str) -> dict[str, Any]:
    shown = {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *headers)}
    return {"description": description, "headers": shown, "content": content}


def _refused(*statuses: str) -> dict[str, Any]:
    """Errors, in OpenAI's shape."""
    return {
        status: _response(_REFUSALS[status], _json("ErrorBody"), *_ADVICE.get(status, ()))
        for status in sorted(statuses)
    }
