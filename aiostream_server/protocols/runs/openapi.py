"""What `openapi.json` says of runs and events. Events' schemas are made of their dataclasses."""

from typing import Any, Final

from pydantic import TypeAdapter

from aiostream_server.events import EVENTS
from aiostream_server.protocols.json_schema import REF, Schema, answer_schemas, request_schemas, without_titles
from aiostream_server.protocols.openapi import (
    ASKING,
    READING,
    SENDING,
    TEXT,
    Described,
    asking_headers,
    events,
    get,
    in_path,
    json_body,
    json_text,
    object_of,
    operation,
    parameter,
    refused,
    response,
)
from aiostream_server.protocols.runs.request import DEFAULT_LISTED, MAX_CURSOR, MAX_LISTED, RunBody
from aiostream_server.protocols.runs.teams import TeamList, TeamObject
from aiostream_server.protocols.runs.whole import RunList, RunObject

_COMMON: Final[Schema] = {
    "seq": {"type": "integer", "minimum": 1, "description": "Counts from 1 without a gap."},
    "run_id": {"type": "string"},
    "timestamp": {"type": "string", "format": "date-time"},
}
_TRUNCATED: Final[Schema] = {
    "const": True,
    "description": "Only where the content was too long for one event, and this is its beginning.",
}


def described() -> Described:
    event: Schema = {"event": {"enum": [*EVENTS]}, "id": {"type": "string", "pattern": "^[1-9][0-9]*$"}}
    schemas = {
        **request_schemas(RunBody),
        **answer_schemas(RunObject, RunList, TeamObject, TeamList),
        **event_schemas(),
        "RunEvent": {
            "description": "`run_finished` is the last; there is no `[DONE]`.",
            **object_of(**event, data=json_text(*map(component, EVENTS))),
        },
    }
    paths = {
        "/v1/teams": {"get": get("listTeams", "The teams of this key, and what each is made of.", "TeamList")},
        "/v1/runs": {"post": _create_run(), "get": _list_runs()},
        "/v1/runs/{run_id}": {"get": _of_run("retrieveRun", "One run.", READING)},
        "/v1/runs/{run_id}/cancel": {
            "post": _of_run("cancelRun", "End a run. One that is over stays as it is.", SENDING)
        },
        "/v1/runs/{run_id}/events": {"get": _stream_events()},
    }
    return Described(paths, schemas)


def _create_run() -> dict[str, Any]:
    headers = ("X-Run-Id", "Idempotent-Replayed")
    return operation(
        "createRun",
        "Start a run: its events as server-sent events; or, in the background, where they are.",
        {
            "200": response("Its events, to the last.", events("RunEvent"), *headers),
            "202": response("It was started in the background.", json_body("RunObject"), *headers, "Location"),
            **refused(*ASKING),
        },
        parameters=asking_headers(),
        body="RunBody",
    )


def _list_runs() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": DEFAULT_LISTED}
    parameters = [parameter("query", "limit", "How many.", limit)]
    return get("listRuns", "The caller's runs, newest first.", "RunList", parameters=parameters)


def _of_run(name: str, summary: str, refusals: tuple[str, ...]) -> dict[str, Any]:
    answers = {"200": response("The run.", json_body("RunObject"), "X-Run-Id"), **refused(*refusals, "404", "410")}
    return operation(name, summary, answers, parameters=[in_path("run_id")])


def _stream_events() -> dict[str, Any]:
    cursor = {"type": "integer", "minimum": 0, "maximum": MAX_CURSOR}
    return operation(
        "streamRunEvents",
        "A run's events behind a number: first a replay, then live.",
        {
            "200": response("The events.", events("RunEvent"), "X-Run-Id"),
            "204": {"description": "The run is over, and `Last-Event-ID` is its last event."},
            **refused(*READING, "404", "410"),
        },
        parameters=[
            in_path("run_id"),
            parameter("query", "starting_after", "The last number that the client has.", cursor),
            parameter("header", "Last-Event-ID", "The same; where both are sent they must agree.", cursor),
            parameter("query", "expires", "Unix time until which the link holds; with `signature`.", TEXT),
            parameter("query", "signature", "Instead of an API key; a wrong one is a 404.", TEXT),
        ],
    )


def event_schemas() -> dict[str, Schema]:
    """The schema of each event by component name (`TokenEvent`), and the schemas that they refer to (`TokenCount`)."""
    schemas: dict[str, Schema] = {}
    for name, kind in EVENTS.items():
        schema = TypeAdapter(kind).json_schema(ref_template=REF)
        schemas |= schema.pop("$defs", {})
        schemas[component(name)] = _event_schema(name, schema)
    return schemas


def component(kind: str) -> str:
    """`tool_result` is `ToolResultEvent`."""
    return "".join(map(str.title, kind.split("_"))) + "Event"


def _event_schema(kind: str, schema: dict[str, Any]) -> Schema:
    """Every field is always there, whether it has a default or not."""
    own = {name: without_titles(field) for name, field in schema["properties"].items()}
    required = {**_COMMON, "type": {"const": kind}, **own}
    has_beginning = "content" in own and "truncated" not in own
    properties = {**required, "truncated": _TRUNCATED} if has_beginning else required
    return {**without_titles(schema), "required": list(required), "properties": properties}
