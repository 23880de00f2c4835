"""`GET /openapi.json`: what is served, for clients and for fuzzers. https://spec.openapis.org/oas/v3.1.0

Each protocol describes its own paths. Schemas are derived from types. Every path is served under `/api`, too.
"""

from functools import cache
from typing import Any, Final, Literal, NotRequired, TypedDict

from aiostream_server import __version__
from aiostream_server.protocols.a2a.openapi import described as a2a_described
from aiostream_server.protocols.ag_ui.openapi import described as ag_ui_described
from aiostream_server.protocols.ai_sdk.openapi import described as ai_sdk_described
from aiostream_server.protocols.chat.openapi import described as chat_described
from aiostream_server.protocols.json_schema import Natural, Seconds, answer_schemas
from aiostream_server.protocols.mcp.openapi import described as mcp_described
from aiostream_server.protocols.openapi import (
    HEADERS,
    READING,
    TEXT,
    Described,
    in_path,
    json_body,
    operation,
    parameter,
    refused,
    response,
)
from aiostream_server.protocols.responses.openapi import described as responses_described
from aiostream_server.protocols.runs.openapi import described as runs_described
from aiostream_server.web.traffic import Phase

_PROTOCOLS: Final = (
    chat_described,
    responses_described,
    runs_described,
    ai_sdk_described,
    ag_ui_described,
    a2a_described,
    mcp_described,
)
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
    described = [*(describe() for describe in _PROTOCOLS), _served_beside()]
    return {
        "openapi": "3.1.0",
        "info": {"title": "aiostream-server", "version": __version__, "description": "AutoGen teams as OpenAI models."},
        "paths": {path: each for one in described for path, each in one.paths.items()},
        "components": {
            "schemas": {name: schema for one in described for name, schema in one.schemas.items()},
            "headers": HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _served_beside() -> Described:
    paths = {
        "/v1/files/{file_id}": {"get": _retrieve_file()},
        "/healthz": {"get": _open("healthz", "The process lives.", {"200": "Health"})},
        "/readyz": {"get": _open("readyz", "New questions are taken.", {"200": "Readiness", "503": "Readiness"})},
        "/metrics": {"get": _metrics()},
    }
    return Described(paths, answer_schemas(Health, Readiness))


def _retrieve_file() -> dict[str, Any]:
    content: dict[str, Any] = {media_type: {"schema": {}} for media_type in _FILE_TYPES}
    return operation(
        "retrieveFile",
        "A picture or another file that a run left: for the run's owner, or with the link's signature.",
        {
            "200": response("The file.", content),
            "304": {"description": "It is what `If-None-Match` names."},
            **refused(*READING, "404"),
        },
        parameters=[
            in_path("file_id"),
            parameter("query", "expires", "Unix time until which the link holds; with `signature`.", TEXT),
            parameter("query", "signature", "Instead of an API key; a wrong one is a 404.", TEXT),
        ],
    )


def _metrics() -> dict[str, Any]:
    content = {"text/plain": {"schema": TEXT}, "application/openmetrics-text": {"schema": TEXT}}
    return operation(
        "metrics",
        "What Prometheus reads; with keys, for one that is made for it. 404 where it is switched off.",
        {"200": response("All figures.", content), **refused(*READING, "404")},
    )


def _open(name: str, summary: str, bodies: dict[str, str]) -> dict[str, Any]:
    """Needs no key."""
    answers = {status: response(summary, json_body(schema)) for status, schema in bodies.items()}
    return operation(name, summary, answers) | {"security": []}
