"""`GET /v1/files/{file_id}`: what runs left for their readers, pictures above all.

For the key, and the user behind it, whose run made it; or for whoever has its signed link. For everybody else, with a
signature that is wrong or over, too, it does not exist. Nothing that is served here can act in a browser.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from aiohttp import web

from aiostream_server.errors import NotFound
from aiostream_server.intake.loopback import check_local_host
from aiostream_server.store.files import EXTENSIONS, Files, StoredFile
from aiostream_server.web.caller import caller_of
from aiostream_server.web.state import ServerState, state_of

_PIECE_BYTES: Final = 64 * 1024
_MAX_AGE_S: Final = 86_400
_SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"})
# A sandbox without any permission: a page of its own origin that runs no script, also where a picture is one.
_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


async def get_file(request: web.Request) -> web.StreamResponse:
    """The file; its head alone for HEAD, 304 for who has it."""
    state, file_id = state_of(request), request.match_info["file_id"]
    owner = None if _has_signature(request, state, file_id) else caller_of(request).owner
    file = await state.parts.files.find(file_id) if state.parts.files is not None else None
    if file is None or state.parts.files is None or (owner is not None and owner != file.owner):
        raise _missing(file_id)
    headers = _headers(file)
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
    return await _send(request, state.parts.files, file, headers)


def _has_signature(request: web.Request, state: ServerState, file_id: str) -> bool:
    """Whether the link is signed. Raises `NotFound` where it says so and is not; the caller is not asked, then."""
    expires, signatures = request.query.getall("expires", ()), request.query.getall("signature", ())
    if not expires and not signatures:
        return False
    check_local_host(request.headers, state.keys, request.version)
    files = state.parts.files
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
        "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(_file_name(file), safe='')}",
        "Cache-Control": f"private, max-age={_MAX_AGE_S}, immutable",
        "ETag": f'"{file.digest[:32]}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Resource-Policy": "cross-origin",  # chat pages of other origins show it as a picture
        "Referrer-Policy": "no-referrer",
    }


async def _send(request: web.Request, files: Files, file: StoredFile, headers: Mapping[str, str]) -> web.StreamResponse:
    """In pieces, each when the socket has room: the loop copies no megabytes at once."""
    content = b"" if request.method == "HEAD" else await files.read(file)
    if content is None:
        raise _missing(file.id)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        for start in range(0, len(content), _PIECE_BYTES):
            await response.write(content[start : start + _PIECE_BYTES])
        await response.write_eof()
    except ConnectionResetError:
        pass  # the reader has gone
    return response


def _file_name(file: StoredFile) -> str:
    name, extension = file.name or file.id, EXTENSIONS.get(file.media_type, "")
    return name if name.endswith(extension) else f"{name}{extension}"


def _missing(file_id: str) -> NotFound:
    return NotFound(f"there is no file {file_id[:80]!r}")
