"""JSON-RPC 2.0, the envelope of A2A and of MCP: https://www.jsonrpc.org/specification"""

from typing import Final, NamedTuple, TypeAlias

from aiostream_server.errors import InvalidRequest, ServerError
from aiostream_server.intake.json_text import decode, encode
from aiostream_server.protocols.json_schema import Schema

RpcId: TypeAlias = str | int | float | None

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

_MAX_ID_CHARS: Final = 1_000  # every frame of a stream repeats the id
_ID: Final[Schema] = {"type": ["string", "number", "null"], "maxLength": _MAX_ID_CHARS}
_EXPECTED: Final = 'expected a JSON-RPC request: {"jsonrpc": "2.0", "id": ..., "method": ..., "params": {...}}'
RPC_SCHEMAS: Final[dict[str, Schema]] = {
    "RpcRequest": {
        "type": "object",
        "required": ["jsonrpc", "method"],
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": _ID,
            "method": {"type": "string"},
            "params": {"type": ["object", "null"]},
        },
    },
    "RpcResponse": {
        "type": "object",
        "required": ["jsonrpc"],
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": _ID,
            "result": {},
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": {"type": "integer"}, "message": {"type": "string"}, "data": {}},
            },
        },
    },
}
"""For `openapi.json`."""


class RpcError(ServerError):
    """An error with a number of its own. `reason` is its name in capitals, `http_status` the status of the answer;
    `request_id` is set where the request cannot be read but for its id."""

    def __init__(
        self, number: int, message: str, *, http_status: int = 200, reason: str = "", param: str | None = None
    ) -> None:
        super().__init__(message, param=param)
        self.request_id: RpcId = None
        self.number = number
        self.http_status = http_status
        self.reason = reason


class RpcRequest(NamedTuple):
    """`has_id` is False for a notification, which is not answered."""

    id: RpcId
    method: str
    params: dict[str, object]
    has_id: bool


def read_request(raw: bytes) -> RpcRequest:
    """Raises `RpcError` for what is no request."""
    try:
        body = decode(raw)
    except InvalidRequest as exc:
        raise RpcError(PARSE_ERROR, str(exc), http_status=400) from exc
    if isinstance(body, list):
        raise _wrong("a batch of requests is not taken: send each by itself")
    if not isinstance(body, dict):
        raise _wrong(_EXPECTED)
    method, params, request_id = body.get("method"), body.get("params"), body.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | float | None):
        raise _wrong("id: expected a string or a number")
    if isinstance(request_id, str) and len(request_id) > _MAX_ID_CHARS:
        raise _wrong(f"id: must be at most {_MAX_ID_CHARS} characters long")
    if body.get("jsonrpc") != "2.0":
        raise _wrong(_EXPECTED, request_id)
    if not isinstance(method, str):
        raise _wrong("method: expected a string", request_id)
    if params is not None and not isinstance(params, dict):
        raise _wrong("params: expected an object", request_id)
    return RpcRequest(request_id, method, params or {}, "id" in body)


def around_result(request_id: RpcId) -> tuple[str, str]:
    """The text before and behind a result's JSON."""
    return f'{{"jsonrpc":"2.0","id":{encode(request_id)},"result":', "}"


def error_body(request_id: RpcId, number: int, message: str, data: object = None) -> bytes:
    detail: dict[str, object] = {"code": number, "message": message}
    if data is not None:
        detail["data"] = data
    return encode({"jsonrpc": "2.0", "id": request_id, "error": detail}).encode("ascii")


def _wrong(problem: str, request_id: RpcId = None) -> RpcError:
    error = RpcError(INVALID_REQUEST, problem, http_status=400)
    error.request_id = request_id
    return error
