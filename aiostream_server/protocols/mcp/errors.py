"""Errors of the MCP endpoint, as JSON-RPC's: https://modelcontextprotocol.io/specification/2026-07-28/basic#error-codes"""

from functools import partial

from aiostream_server.errors import InvalidRequest, ServerError
from aiostream_server.protocols.json_rpc import INTERNAL_ERROR, INVALID_PARAMS, RpcError, RpcId, error_body
from aiostream_server.protocols.mcp.versions import UnsupportedVersion


def refusal_for(request_id: RpcId) -> "partial[tuple[int, bytes]]":
    """Renders errors of the request with this id."""
    return partial(refusal, request_id=request_id)


def refusal(error: ServerError, request_id: RpcId = None) -> tuple[int, bytes]:
    """Status and body."""
    data = error.data if isinstance(error, UnsupportedVersion) else None
    if isinstance(error, RpcError):
        request_id = error.request_id if request_id is None else request_id
        return error.http_status, error_body(request_id, error.number, str(error), data)
    number = INVALID_PARAMS if isinstance(error, InvalidRequest) else INTERNAL_ERROR
    return error.status, error_body(request_id, number, str(error), {"code": error.code})
