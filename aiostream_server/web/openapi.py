"""`GET /openapi.json`: what is served, for clients and for fuzzers. https://spec.openapis.org/oas/v3.1.0

Every path is served under `/api` as well.
"""

from functools import cache
from typing import Any, Final, get_args

from aiohttp import web

from aiostream_server import __version__
from aiostream_server.config.model import Presentation
from aiostream_server.web.schemas import SCHEMAS, ref

_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKey": []}, {}]
_REFUSALS: Final = {
    "400": "The request is wrong; `param` says where.",
    "401": "No API key, or a wrong one.",
    "403": "The key may not do this; or there are no keys, and the caller is not on this machine.",
    "404": "No such model; the message lists those there are.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or it is compressed.",
    "429": "Too many runs; see `Retry-After`.",
    "500": "A bug of the server's.",
    "502": "The team or its model failed.",
    "503": "The server is shutting down; see `Retry-After`.",
    "504": "The team or its model took too long.",
}


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
            "/healthz": {"get": _open("The process lives.", "healthz", {"200": "Health"})},
            "/readyz": {"get": _open("New questions are taken.", "readyz", {"200": "Readiness", "503": "Readiness"})},
        },
        "components": {
            "schemas": SCHEMAS,
            "headers": {
                "RequestId": {"description": "Also on every line of the log.", "schema": {"type": "string"}},
                "RunId": {"description": "Unguessable.", "schema": {"type": "string"}},
                "RetryAfter": {"description": "Seconds.", "schema": {"type": "integer"}},
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _chat() -> dict[str, Any]:
    answer = {**_json("Completion"), "text/event-stream": {"schema": ref("Event")}}
    presentation = _header("X-Presentation", "How the run is shown.", list(get_args(Presentation)))
    return {
        "operationId": "createChatCompletion",
        "summary": "Ask a team; streamed as server-sent events, or as one completion.",
        "security": _SECURITY,
        "parameters": [presentation],
        "requestBody": {"required": True, "content": _json("ChatRequest")},
        "responses": {"200": _response("The answer.", answer, "RunId"), **_errors(*_REFUSALS)},
    }


def _models() -> dict[str, Any]:
    return {
        "operationId": "listModels",
        "summary": "The models that this key may use.",
        "security": _SECURITY,
        "responses": {"200": _response("The models.", _json("Models")), **_errors("400", "401", "403", "500")},
    }


def _model() -> dict[str, Any]:
    name = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {
        "operationId": "retrieveModel",
        "summary": "One model.",
        "security": _SECURITY,
        "parameters": [name],
        "responses": {"200": _response("The model.", _json("Model")), **_errors("400", "401", "403", "404", "500")},
    }


def _open(summary: str, operation: str, bodies: dict[str, str]) -> dict[str, Any]:
    """What needs no key."""
    responses = {status: _response(summary, _json(schema)) for status, schema in bodies.items()}
    return {"operationId": operation, "summary": summary, "security": [], "responses": responses}


def _errors(*statuses: str) -> dict[str, Any]:
    return {
        status: _response(_REFUSALS[status], _json("Error"), *(["RetryAfter"] if status in ("429", "503") else []))
        for status in statuses
    }


def _response(description: str, content: dict[str, Any], *headers: str) -> dict[str, Any]:
    names = {"RequestId": "X-Request-ID", "RunId": "X-Run-Id", "RetryAfter": "Retry-After"}
    shown = {names[name]: {"$ref": f"#/components/headers/{name}"} for name in ("RequestId", *headers)}
    return {"description": description, "headers": shown, "content": content}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": ref(schema)}}


def _header(name: str, description: str, values: list[str]) -> dict[str, Any]:
    schema = {"type": "string", "enum": values}
    return {"name": name, "in": "header", "description": description, "required": False, "schema": schema}
