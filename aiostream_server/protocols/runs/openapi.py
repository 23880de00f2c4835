"""What `openapi.json` says of runs."""

from typing import Any

from aiostream_server.events import EVENTS
from aiostream_server.protocols.json_schema import Schema, answer_schemas, request_schemas
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
from aiostream_server.protocols.runs.schemas import component, event_schemas
from aiostream_server.protocols.runs.teams import TeamList, TeamObject
from aiostream_server.protocols.runs.whole import RunList, RunObject


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
