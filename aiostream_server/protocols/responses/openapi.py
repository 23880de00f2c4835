"""What `openapi.json` says of responses."""

from typing import Any, Final, get_args

from aiostream_server.config.model import Presentation
from aiostream_server.protocols.json_schema import Schema, answer_schemas, request_schemas
from aiostream_server.protocols.openapi import (
    ASKING,
    READING,
    SENDING,
    Described,
    asking_headers,
    events,
    in_path,
    json_body,
    json_text,
    object_of,
    operation,
    parameter,
    refused,
    response,
)
from aiostream_server.protocols.responses.input import INPUT_SHAPES
from aiostream_server.protocols.responses.input_items import InputItemList
from aiostream_server.protocols.responses.items import OUTPUT_ITEMS
from aiostream_server.protocols.responses.request import ResponsesRequest
from aiostream_server.protocols.responses.response import Response
from aiostream_server.protocols.runs.request import MAX_CURSOR, MAX_LISTED

_EVENT: Final[Schema] = {
    "type": "object",
    "required": ["type", "sequence_number"],
    "properties": {"type": {"type": "string"}, "sequence_number": {"type": "integer", "minimum": 0}},
}
_DELETED: Final = object_of(id={"type": "string"}, object={"const": "response.deleted"}, deleted={"const": True})


def described() -> Described:
    data = {"anyOf": [json_text("ResponseStreamEvent"), {"const": "[DONE]"}]}
    schemas = {
        **request_schemas(ResponsesRequest, *INPUT_SHAPES),
        **answer_schemas(Response, InputItemList, *OUTPUT_ITEMS),
        "ResponseStreamEvent": _EVENT,
        "ResponseEvent": {"description": "The last event has the response; `[DONE]` follows.", **object_of(data=data)},
        "ResponseDeleted": _DELETED,
    }
    paths = {
        "/v1/responses": {"post": _create()},
        "/v1/responses/{response_id}": {"get": _retrieve(), "delete": _delete()},
        "/v1/responses/{response_id}/cancel": {"post": _cancel()},
        "/v1/responses/{response_id}/input_items": {"get": _list_input()},
    }
    return Described(paths, schemas)


def _create() -> dict[str, Any]:
    shown = {"type": "string", "enum": [*get_args(Presentation)]}
    content = {**json_body("Response"), **events("ResponseEvent")}
    return operation(
        "createResponse",
        "Ask a team; streamed as server-sent events, or as one response, or in the background.",
        {
            "200": response("The response.", content, "X-Run-Id", "Idempotent-Replayed", "Location"),
            **refused(*ASKING, "422", "502", "504"),
        },
        parameters=[parameter("header", "X-Presentation", "How the run is shown.", shown), *asking_headers()],
        body="ResponsesRequest",
    )


def _retrieve() -> dict[str, Any]:
    content = {**json_body("Response"), **events("ResponseEvent")}
    cursor = {"type": "integer", "minimum": 0, "maximum": MAX_CURSOR}
    return operation(
        "retrieveResponse",
        "The response as it is now; or its events behind a number, first a replay, then live.",
        {"200": response("The response.", content, "X-Run-Id"), **refused(*READING, "404")},
        parameters=[
            in_path("response_id"),
            parameter("query", "stream", "`true` for events.", {"type": "string", "enum": ["true", "false"]}),
            parameter("query", "starting_after", "The last number that the client has; with `stream`.", cursor),
        ],
    )


def _delete() -> dict[str, Any]:
    answers = {"200": response("It is forgotten.", json_body("ResponseDeleted")), **refused(*SENDING, "404")}
    return operation("deleteResponse", "Forget a response.", answers, parameters=[in_path("response_id")])


def _cancel() -> dict[str, Any]:
    answers = {"200": response("The response.", json_body("Response"), "X-Run-Id"), **refused(*SENDING, "404")}
    summary = "End a response. One that is finished stays as it is."
    return operation("cancelResponse", summary, answers, parameters=[in_path("response_id")])


def _list_input() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": 20}
    return operation(
        "listInputItems",
        "What the request brought.",
        {"200": response("A page.", json_body("InputItemList"), "X-Run-Id"), **refused(*READING, "404")},
        parameters=[
            in_path("response_id"),
            parameter("query", "limit", "How many.", limit),
            parameter("query", "order", "Oldest or newest first.", {"type": "string", "enum": ["asc", "desc"]}),
            parameter("query", "after", "The id of the last item that the client has.", {"type": "string"}),
        ],
    )
