"""`GET /openapi.json`: what is served, for clients and for fuzzers. https://spec.openapis.org/oas/v3.1.0"""

from functools import cache
from typing import Any, Final

from aiohttp import web

from aiostream_server import __version__
from aiostream_server.wire.request import ChatRequest

_ERROR_REF: Final = {"$ref": "#/components/schemas/Error"}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKey": []}, {}]


async def openapi(_: web.Request) -> web.Response:
    return web.json_response(document())


@cache
def document() -> dict[str, Any]:
    """The same for every caller: it tells shapes, not teams."""
    request = ChatRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = {**request.pop("$defs", {}), **_SCHEMAS, "ChatRequest": request}
    return {
        "openapi": "3.1.0",
        "info": {"title": "aiostream-server", "version": __version__, "description": "AutoGen teams as OpenAI models."},
        "paths": {
            "/v1/chat/completions": {"post": _chat()},
            "/v1/models": {"get": _get("List the models that this key may use.", "Models", "401", "403")},
            "/v1/models/{model}": {"get": _model()},
            "/healthz": {"get": _get("The process lives.", "Health", keyed=False)},
            "/readyz": {"get": _get("New questions are taken (503: not).", "Health", keyed=False, or_status="503")},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _chat() -> dict[str, Any]:
    refusals = ("400", "401", "403", "404", "408", "413", "415", "429", "500", "502", "503", "504")
    return {
        "summary": "Ask a team; streamed as server-sent events, or as one completion.",
        "security": _SECURITY,
        "parameters": [
            _header("X-Presentation", "How the run is shown.", {"enum": ["transcript", "reasoning", "answer"]}),
            _header("X-Request-ID", "Returned, and on every log line.", {"type": "string"}),
        ],
        "requestBody": {"required": True, "content": _json({"$ref": "#/components/schemas/ChatRequest"})},
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {
                    **_json({"$ref": "#/components/schemas/Completion"}),
                    "text/event-stream": {"schema": {"type": "string"}},
                },
            },
            **{status: _error() for status in refusals},
        },
    }


def _model() -> dict[str, Any]:
    operation = _get("One model.", "Model", "400", "401", "403", "404")
    path = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {**operation, "parameters": [path]}


def _get(summary: str, schema: str, *errors: str, keyed: bool = True, or_status: str | None = None) -> dict[str, Any]:
    body = {"description": "OK", "content": _json({"$ref": f"#/components/schemas/{schema}"})}
    responses = {"200": body, **({or_status: body} if or_status else {}), **{status: _error() for status in errors}}
    return {"summary": summary, "security": _SECURITY if keyed else [], "responses": responses}


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "required": False, "schema": schema}


def _error() -> dict[str, Any]:
    return {"description": "Refused or failed.", "content": _json(_ERROR_REF)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _object(required: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required}


_TEXT: Final[dict[str, Any]] = {"type": "string"}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_MODEL: Final = _object(
    {
        "id": _TEXT,
        "object": {"const": "model"},
        "created": _COUNT,
        "owned_by": _TEXT,
        "name": _TEXT,
        "description": _TEXT,
    }
)
_MESSAGE: Final = _object({"role": {"const": "assistant"}, "content": _TEXT})
_CHOICE: Final = _object({"index": {"const": 0}, "message": _MESSAGE, "finish_reason": {"enum": ["stop", "length"]}})
_USAGE: Final = _object({"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT})
_SCHEMAS: Final[dict[str, Any]] = {
    "Model": _MODEL,
    "Models": _object({"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}}),
    "Completion": _object(
        {
            "id": _TEXT,
            "object": {"const": "chat.completion"},
            "created": _COUNT,
            "model": _TEXT,
            "choices": {"type": "array", "items": _CHOICE, "minItems": 1, "maxItems": 1},
            "usage": _USAGE,
        }
    ),
    "Health": _object({"status": _TEXT}),
    "Error": _object(
        {"error": _object({"message": _TEXT, "type": _TEXT, "param": {"type": ["string", "null"]}, "code": _TEXT})}
    ),
}
