"""`GET /v1/files/{file_id}`: the files that runs made, above all pictures.

A file is for the owner of the run (its key, and the user behind it), or for a request with the link's signature. For
all others, and with a wrong or expired signature, it does not exist. Nothing that is served here can act in a browser.
"""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from aiohttp import web

from aiostream_server.errors import ClientGone, NotFound
from aiostream_server.intake.loopback import check_local_host
from aiostream_server.sse.writer import SseWriter
from aiostream_server.store.files import Files
from aiostream_server.store.stored_file import StoredFile
from aiostream_server.web.caller import caller_of
from aiostream_server.web.state import ServerState, state_of
from aiostream_server.web.stream import hang_up, leave_client

_PIECE_BYTES: Final = 64 * 1024
_MAX_AGE_S: Final = 86_400
_SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"})
# A sandbox without permissions: an SVG that is opened as a page runs no script and has an origin of its own.
_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


async def get_file(request: web.Request) -> web.StreamResponse:
    """The file; only its headers for HEAD; 304 where the client has it."""
    state, file_id = state_of(request), request.match_info["file_id"]
    owner = None if _has_signature(request, state, file_id) else caller_of(request).owner
    file = await state.resources.files.find(file_id) if state.resources.files is not None else None
    if file is None or state.resources.files is None or (owner is not None and owner != file.owner):
        raise _missing(file_id)
    headers = _headers(file)
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
    return await _send(request, state.resources.files, file, headers)


def _has_signature(request: web.Request, state: ServerState, file_id: str) -> bool:
    """Whether the link is signed, so that the caller needs no key. Raises `NotFound` for a wrong signature."""
    expires, signatures = request.query.getall("expires", ()), request.query.getall("signature", ())
    if not expires and not signatures:
        return False
    check_local_host(request.headers, state.keys, request.version)
    files = state.resources.files
    if len(expires) != 1 or len(signatures) != 1 or files is None:
        raise _missing(file_id)
    if not files.links.is_signed(file_id, expires[0], signatures[0]):
        raise _missing(file_id)
    return True


def _headers(file: StoredFile) -> Mapping[str, str]:
    shown = "inline" if file.media_type in _SHOWN else "attachment"
    charset = "; charset=utf-8" if file.media_type.startswith("text/") else ""
    return {
        "Content-Type": f"{file.media_type}{charset}",
        "Content-Length": str(file.size),
        "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(file.file_name, safe='')}",
        "Cache-Control": f"private, max-age={_MAX_AGE_S}, immutable",
        "ETag": f'"{file.digest[:32]}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Resource-Policy": "cross-origin",  # chat pages of other origins show it as a picture
        "Referrer-Policy": "no-referrer",
    }


async def _send(request: web.Request, files: Files, file: StoredFile, headers: Mapping[str, str]) -> web.StreamResponse:
    """Read each piece when the client has taken the one before. Evict a client that reads nothing for too long."""
    piece = await files.read(file, 0, _PIECE_BYTES)
    if piece is None:
        raise _missing(file.id)
    response = web.StreamResponse(headers=headers)
    write_timeout_s = state_of(request).config.server.write_timeout_s
    try:
        writer = await SseWriter.open(request, response, write_timeout_s=write_timeout_s)
        for start in range(0, 0 if request.method == "HEAD" else file.size, _PIECE_BYTES):
            piece = await files.read(file, start, _PIECE_BYTES) if start else piece
            if piece is None:
                raise ClientGone("the file was deleted while it was sent")
            await writer.send(piece)
        async with asyncio.timeout(write_timeout_s):
            await response.write_eof()
    except ClientGone as gone:
        leave_client(request, gone)
    except (ConnectionError, TimeoutError):
        hang_up(request)
    return response


def _missing(file_id: str) -> NotFound:
    return NotFound(f"there is no file {file_id[:80]!r}")
