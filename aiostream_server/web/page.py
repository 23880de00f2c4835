"""`GET /`, `/runs` and `/runs/{id}`: the page that shows teams at work. It asks `/v1` for all else, with a key.

Agents, tools and databases say what they want, so the page runs nothing but its own files: no inline script, no HTML
out of a text, and nothing from another host. https://www.w3.org/TR/CSP3/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from aiohttp import web

from aiostream_server.errors import NotFound
from aiostream_server.intake.loopback import check_local_host
from aiostream_server.web.state import Handler, state_of

_PACKAGE: Final = "aiostream_server.page"
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}
_PAGES: Final = (("/", "./"), ("/runs", "./"), ("/runs/", "../"), ("/runs/{run_id}", "../"))
"""Each path, and the way from there to the page's root: the page works below any prefix of a proxy."""


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    media_type: str
    tag: str


def add_page(app: web.Application) -> None:
    for path, root in _PAGES:
        app.router.add_get(path, _page(root))
    app.router.add_get("/page/{name:[a-z_]+(?:/[a-z_]+)?\\.(?:css|js|svg)}", _get_asset)


def _page(root: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        _check(request)
        return _answer(request, _index(root))

    return handle


async def _get_asset(request: web.Request) -> web.Response:
    _check(request)
    asset = _asset(request.match_info["name"])
    if asset is None:
        raise NotFound("the page has no such file")
    return _answer(request, asset)


def _check(request: web.Request) -> None:
    state = state_of(request)
    if not state.config.page.enabled:
        raise web.HTTPNotFound
    check_local_host(request.headers, state.keys, request.version)


def _answer(request: web.Request, asset: _Asset) -> web.Response:
    headers: Mapping[str, str] = {**_HEADERS, "ETag": asset.tag, "Content-Type": asset.media_type}
    if asset.tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
    return web.Response(body=asset.body, headers=headers)


@cache
def _index(root: str) -> _Asset:
    body = files(_PACKAGE).joinpath("index.html").read_bytes()
    return _made(body.replace(b'<base id="base" href="./">', f'<base id="base" href="{root}">'.encode()), "html")


@cache
def _asset(name: str) -> _Asset | None:
    file = files(_PACKAGE).joinpath(*name.split("/"))
    return _made(file.read_bytes(), name.rpartition(".")[2]) if file.is_file() else None


def _made(body: bytes, kind: str) -> _Asset:
    return _Asset(body, _TYPES[kind], f'"{sha256(body).hexdigest()[:32]}"')
