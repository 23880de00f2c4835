"""Errors as A2A tells them: by number in the JSON-RPC binding, as `google.rpc.Status` in the HTTP+JSON binding.

https://a2a-protocol.org/latest/specification/#54-error-code-mappings. What concerns the call itself has status 200 in
JSON-RPC. A refusal that any path of the server gives (a wrong key, too many runs) has its own status in both, so that
proxies and HTTP clients understand it.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from aiostream_server.errors import InvalidRequest, RunGone, ServerError
from aiostream_server.intake.json_text import encode
from aiostream_server.protocols.json_rpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    RpcError,
    RpcId,
    error_body,
)

_TASK_NOT_FOUND: Final = -32001
_CONTENT_TYPE: Final = -32005
_OF_THE_SERVER: Final = -32000

_A2A: Final = "a2a-protocol.org"
_OURS: Final = "aiostream-server"
_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
_FIELDS: Final = "type.googleapis.com/google.rpc.BadRequest"
_STATUS_NAMES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "OUT_OF_RANGE",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
_STATUS_OF: Final[Mapping[int, int]] = {_TASK_NOT_FOUND: 404, METHOD_NOT_FOUND: 404, INTERNAL_ERROR: 500}


def task_not_found(task_id: str, *, is_gone: bool = False) -> RpcError:
    """`is_gone`: there was one, and it is kept no longer."""
    problem = "has ended, and is kept no longer" if is_gone else "does not exist"
    return RpcError(_TASK_NOT_FOUND, f"the task {task_id[:80]!r} {problem}", reason="TASK_NOT_FOUND")


def not_cancelable(problem: str) -> RpcError:
    return RpcError(-32002, problem, reason="TASK_NOT_CANCELABLE")


def no_push_notifications() -> RpcError:
    problem = "push notifications are not supported; use SubscribeToTask or GetTask"
    return RpcError(-32003, problem, reason="PUSH_NOTIFICATION_NOT_SUPPORTED")


def unsupported(problem: str) -> RpcError:
    return RpcError(-32004, problem, reason="UNSUPPORTED_OPERATION")


def content_type(problem: str, param: str) -> RpcError:
    return RpcError(_CONTENT_TYPE, f"{param}: {problem}", reason="CONTENT_TYPE_NOT_SUPPORTED", param=param)


def version_not_supported(sent: str) -> RpcError:
    said = f"A2A {sent[:20]!r} is not served here" if sent else "a request without the header is one of A2A 0.3"
    problem = f"{said}: send `A2A-Version: 1.0`"
    return RpcError(-32009, problem, reason="VERSION_NOT_SUPPORTED")


def refusal_for(request_id: RpcId) -> "partial[tuple[int, bytes]]":
    """Renders errors of the JSON-RPC request with this id."""
    return partial(refusal, request_id=request_id)


def refusal(error: ServerError, request_id: RpcId = None) -> tuple[int, bytes]:
    """Status and body in the JSON-RPC binding."""
    number, reason = _number(error)
    status = error.status
    if isinstance(error, RpcError):
        status, request_id = error.http_status, error.request_id if request_id is None else request_id
    if number != _OF_THE_SERVER and status < 500:
        status = 200
    return status, error_body(request_id, number, str(error), _details(error, number, reason))


def rest_refusal(error: ServerError) -> tuple[int, bytes]:
    """Status and body in the HTTP+JSON binding."""
    number, reason = _number(error)
    status = _STATUS_OF.get(number, 400) if isinstance(error, RpcError) else error.status
    told: dict[str, Any] = {
        "code": status,
        "status": _STATUS_NAMES.get(status, "INTERNAL" if status >= 500 else "FAILED_PRECONDITION"),
        "message": str(error),
        "details": _details(error, number, reason),
    }
    if isinstance(error, RpcError) and status == 400 and number not in (INVALID_PARAMS, _CONTENT_TYPE):
        told["status"] = "FAILED_PRECONDITION"
    return status, encode({"error": told}).encode("ascii")


def _number(error: ServerError) -> tuple[int, str]:
    """The number, and the name in capitals."""
    match error:
        case RpcError():
            return error.number, error.reason
        case InvalidRequest():
            return INVALID_PARAMS, ""
        case RunGone():
            return _TASK_NOT_FOUND, "TASK_NOT_FOUND"
        case _ if type(error) is ServerError:
            return INTERNAL_ERROR, ""
    return _OF_THE_SERVER, error.code.upper()


def _details(error: ServerError, number: int, reason: str) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = []
    if reason:
        domain = _OURS if number == _OF_THE_SERVER else _A2A
        details.append({"@type": _INFO, "reason": reason, "domain": domain})
    if error.param is not None:
        details.append({"@type": _FIELDS, "fieldViolations": [{"field": error.param, "description": str(error)}]})
    return details
