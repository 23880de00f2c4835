"""The operation of `/v1/files`, for `web.openapi`."""

from typing import Any, Final

from aiostream_server.web.operations import READING, SECURITY, parameter, refusals, response

_SHOWN: Final = ("image/png", "image/svg+xml", "image/jpeg", "image/gif", "image/webp", "application/octet-stream")


def file_paths() -> dict[str, Any]:
    return {"/v1/files/{file_id}": {"get": _get()}}


def _get() -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    content: dict[str, Any] = {media_type: {"schema": {}} for media_type in _SHOWN}
    return {
        "operationId": "retrieveFile",
        "summary": "A picture or another file that a run left: for the run's owner, or with the link's signature.",
        "security": SECURITY,
        "parameters": [
            parameter("path", "file_id", "The file's id.", {"type": "string", "minLength": 1}),
            parameter("query", "expires", "Unix time until which the link holds; with `signature`.", text),
            parameter("query", "signature", "Instead of an API key; a wrong one is a 404.", text),
        ],
        "responses": {
            "200": response("The file.", content),
            "304": {"description": "It is what `If-None-Match` names."},
            **refusals(*READING, "404"),
        },
    }
