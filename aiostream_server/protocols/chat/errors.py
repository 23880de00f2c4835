"""Errors in OpenAI's shape: https://platform.openai.com/docs/guides/error-codes"""

import json
from typing import TypedDict

from aiostream_server.errors import ServerError, error_for
from aiostream_server.intake.json_text import encode


class ErrorDetail(TypedDict):
    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(TypedDict):
    """The body of every answer that is an error."""

    error: ErrorDetail


def refusal(error: ServerError) -> tuple[int, bytes]:
    """Status and body of an answer that is an error."""
    body = _body(str(error), kind=error.type, param=error.param, code=error.code)
    return error.status, json.dumps(body).encode()


def error_frame(message: str, *, code: str) -> str:
    """The error of a stream, without `choices`: the only form that Open WebUI shows (0.6.36, 0.12.4: middleware.py)."""
    return encode(_body(message, kind=error_for(code, message).type, param=None, code=code))


def _body(message: str, *, kind: str, param: str | None, code: str) -> ErrorBody:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
