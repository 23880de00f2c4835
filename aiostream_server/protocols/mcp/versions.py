"""The versions of MCP that are served, and what each expects of a request.

From 2026-07-28 on every request stands for itself and says its version in `_meta` and in a header; before that a
session begins with `initialize`. https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from aiostream_server.protocols.json_rpc import INVALID_PARAMS, RpcError, RpcRequest

MODERN: Final = ("2026-07-28",)
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
SUPPORTED: Final = (*MODERN, *LEGACY)
_HEADER_MISMATCH: Final = -32020
_UNSUPPORTED: Final = -32022
_META: Final = "io.modelcontextprotocol/"
_ENCODED: Final = ("=?base64?", "?=")


class UnsupportedVersion(RpcError):
    """`data` lists the versions that are served."""

    def __init__(self, requested: str) -> None:
        problem = f"version {requested[:40]!r} of MCP is not served here; there are: {', '.join(SUPPORTED)}"
        super().__init__(_UNSUPPORTED, problem, http_status=400)
        self.data: Final = {"supported": list(SUPPORTED), "requested": requested[:40]}


def meta_of(call: RpcRequest) -> Mapping[str, object]:
    meta = call.params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def elicits(call: RpcRequest) -> bool:
    """Whether the client puts questions to its user, by a form."""
    capabilities = meta_of(call).get(f"{_META}clientCapabilities")
    declared = capabilities.get("elicitation") if isinstance(capabilities, dict) else None
    return isinstance(declared, dict) and (not declared or "form" in declared)


def check_version(call: RpcRequest, headers: Mapping[str, str]) -> bool:
    """Whether the request is of a modern version. Raises `RpcError` for a version that is not served, and where the
    headers contradict the body. `headers` finds its keys in any case."""
    sent, meta = headers.get("MCP-Protocol-Version"), meta_of(call)
    said = meta.get(f"{_META}protocolVersion")
    if said is None and sent not in MODERN:
        if sent is not None and sent not in LEGACY and call.method != "initialize":
            raise UnsupportedVersion(sent)
        return False
    if not call.has_id:
        return True  # what headers a notification has is not specified
    if not isinstance(said, str):
        raise RpcError(INVALID_PARAMS, f"params._meta: needs {_META}protocolVersion", http_status=400)
    if sent != said:
        raise _mismatch("MCP-Protocol-Version", sent, said)
    if said not in MODERN:
        raise UnsupportedVersion(said)
    if not isinstance(meta.get(f"{_META}clientCapabilities"), dict):
        raise RpcError(INVALID_PARAMS, f"params._meta: needs {_META}clientCapabilities", http_status=400)
    if headers.get("Mcp-Method") != call.method:
        raise _mismatch("Mcp-Method", headers.get("Mcp-Method"), call.method)
    name = call.params.get("name")
    if call.method == "tools/call" and isinstance(name, str) and _decoded(headers.get("Mcp-Name")) != name:
        raise _mismatch("Mcp-Name", headers.get("Mcp-Name"), name)
    return True


def negotiated(requested: object) -> str:
    """The version of a session: what `initialize` asks for, or the newest that has sessions."""
    return requested if isinstance(requested, str) and requested in LEGACY else LEGACY[0]


def _mismatch(header: str, sent: str | None, said: str) -> RpcError:
    problem = f"the header {header} is {sent!r:.80}, and the body says {said!r:.80}"
    return RpcError(_HEADER_MISMATCH, problem, http_status=400)


def _decoded(value: str | None) -> str | None:
    """https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#value-encoding"""
    before, behind = _ENCODED
    if value is None or not (value.startswith(before) and value.endswith(behind)):
        return value
    try:
        return base64.b64decode(value[len(before) : -len(behind)], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
