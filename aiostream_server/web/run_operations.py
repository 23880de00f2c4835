"""The operations of `/v1/runs`, for `web.openapi`."""

from typing import Any, Final

from aiostream_server.web.operations import (
    ASKING,
    CONVERSATION_ID,
    IDEMPOTENCY_KEY,
    READING,
    SECURITY,
    SENDING,
    events_of,
    json_of,
    parameter,
    refusals,
    response,
)
from aiostream_server.web.parameters import DEFAULT_LISTED, MAX_CURSOR, MAX_LISTED

_RUN_ID: Final = parameter("path", "run_id", "The run's id.", {"type": "string", "minLength": 1})
_CURSOR: Final = {"type": "integer", "minimum": 0, "maximum": MAX_CURSOR}


def run_paths() -> dict[str, Any]:
    return {
        "/v1/runs": {"post": _create(), "get": _list()},
        "/v1/runs/{run_id}": {"get": _get()},
        "/v1/runs/{run_id}/cancel": {"post": _cancel()},
        "/v1/runs/{run_id}/events": {"get": _events()},
    }


def _create() -> dict[str, Any]:
    return {
        "operationId": "createRun",
        "summary": "Start a run: its events as server-sent events; or, in the background, where they are.",
        "security": SECURITY,
        "parameters": [CONVERSATION_ID, IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": json_of("RunRequest")},
        "responses": {
            "200": response("Its events, to the last.", events_of("RunEvent"), "RunId", "Replayed"),
            "202": response("It was started in the background.", json_of("Run"), "RunId", "Replayed", "Location"),
            **refusals(*ASKING),
        },
    }


def _list() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": DEFAULT_LISTED}
    return {
        "operationId": "listRuns",
        "summary": "The caller's runs, newest first.",
        "security": SECURITY,
        "parameters": [parameter("query", "limit", "How many.", limit)],
        "responses": {"200": response("The runs.", json_of("Runs")), **refusals(*READING)},
    }


def _get() -> dict[str, Any]:
    return {
        "operationId": "retrieveRun",
        "summary": "One run.",
        "security": SECURITY,
        "parameters": [_RUN_ID],
        "responses": {"200": response("The run.", json_of("Run"), "RunId"), **refusals(*READING, "404", "410")},
    }


def _cancel() -> dict[str, Any]:
    return {
        "operationId": "cancelRun",
        "summary": "End a run. One that is over stays as it is.",
        "security": SECURITY,
        "parameters": [_RUN_ID],
        "responses": {
            "200": response("The run: over, or about to be.", json_of("Run"), "RunId"),
            **refusals(*SENDING, "404", "410"),
        },
    }


def _events() -> dict[str, Any]:
    return {
        "operationId": "streamRunEvents",
        "summary": "A run's events behind a number: those that were, then those that come.",
        "security": SECURITY,
        "parameters": [
            _RUN_ID,
            parameter("query", "starting_after", "The last number that the client has.", _CURSOR),
            parameter("header", "Last-Event-ID", "The same; where both are sent they must agree.", _CURSOR),
        ],
        "responses": {
            "200": response("The events.", events_of("RunEvent"), "RunId"),
            **refusals(*READING, "404", "410"),
        },
    }
