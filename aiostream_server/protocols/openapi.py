"""`GET /openapi.json`: what is served, for clients and for fuzzers. https://spec.openapis.org/oas/v3.1.0

Every path is served under `/api` as well.
"""

from functools import cache
from typing import Any, get_args

from aiohttp import web

from aiostream_server import __version__
from aiostream_server.config.model import Presentation
from aiostream_server.web.file_operations import file_paths
from aiostream_server.web.operations import (
    ASKING,
    CONVERSATION_ID,
    HEADERS,
    IDEMPOTENCY_KEY,
    READING,
    SECURITY,
    events_of,
    json_of,
    parameter,
    refusals,
    response,
)
from aiostream_server.web.run_operations import run_paths
from aiostream_server.web.schemas import SCHEMAS
from aiostream_server.web.shapes import one_of


async def openapi(_: web.Request) -> web.Response:
    return web.json_response(document())


@cache
def document() -> dict[str, Any]:
    """The same for every caller: it tells shapes, not teams."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "aiostream-server", "version": __version__, "description": "AutoGen teams as OpenAI models."},
        "paths": {
            "/v1/chat/completions": {"post": _chat()},
            "/v1/models": {"get": _models()},
            "/v1/models/{model}": {"get": _model()},
            **run_paths(),
            **file_paths(),
            "/healthz": {"get": _open("The process lives.", "healthz", {"200": "Health"})},
            "/readyz": {"get": _open("New questions are taken.", "readyz", {"200": "Readiness", "503": "Readiness"})},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": SCHEMAS,
            "headers": HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _chat() -> dict[str, Any]:
    shown = one_of(*get_args(Presentation))
    return {
        "operationId": "createChatCompletion",
        "summary": "Ask a team; streamed as server-sent events, or as one completion.",
        "security": SECURITY,
        "parameters": [
            parameter("header", "X-Presentation", "How the run is shown.", shown),
            CONVERSATION_ID,
            IDEMPOTENCY_KEY,
        ],
        "requestBody": {"required": True, "content": json_of("ChatRequest")},
        "responses": {
            "200": response("The answer.", {**json_of("Completion"), **events_of("Event")}, "RunId", "Replayed"),
            **refusals(*ASKING, "502", "504"),
        },
    }


def _models() -> dict[str, Any]:
    return {
        "operationId": "listModels",
        "summary": "The models that this key may use.",
        "security": SECURITY,
        "responses": {"200": response("The models.", json_of("Models")), **refusals(*READING)},
    }


def _model() -> dict[str, Any]:
    name = parameter("path", "model", "The model's id.", {"type": "string", "minLength": 1})
    return {
        "operationId": "retrieveModel",
        "summary": "One model.",
        "security": SECURITY,
        "parameters": [name],
        "responses": {"200": response("The model.", json_of("Model")), **refusals(*READING, "404")},
    }


def _metrics() -> dict[str, Any]:
    text: dict[str, Any] = {"schema": {"type": "string"}}
    return {
        "operationId": "metrics",
        "summary": "What Prometheus reads; with keys, for one that is made for it. 404 where it is switched off.",
        "security": SECURITY,
        "responses": {
            "200": response("All figures.", {"text/plain": text, "application/openmetrics-text": text}),
            **refusals(*READING, "404"),
        },
    }


def _open(summary: str, operation: str, bodies: dict[str, str]) -> dict[str, Any]:
    """What needs no key."""
    responses = {status: response(summary, json_of(schema)) for status, schema in bodies.items()}
    return {"operationId": operation, "summary": summary, "security": [], "responses": responses}
