"""What links to this server begin with, as whoever asked reaches it.

`[server] public_url` where it is set. Else the request's own scheme and `Host`: whoever sends a wrong one gets wrong
links into their own answer, and into nobody else's. What a proxy says in `X-Forwarded-*` is not believed, since anybody
can send it: behind a proxy that changes the host or the scheme, `public_url` is what links need.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from aiohttp import web

from aiostream_server.web.state import state_of

_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.ASCII)


def link_base(request: web.Request) -> str:
    """Without a slash at its end; empty where the request does not say: then no links are given out."""
    public_url = state_of(request).config.server.public_url
    if public_url is not None:
        return public_url.rstrip("/")
    hosts = request.headers.getall("Host", ())
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        return ""
    return f"{request.scheme}://{hosts[0]}"


def own_links(request: web.Request) -> Callable[[str], bool]:
    """Tells whether a URL is a valid link to a file of this server, as whoever asked reaches it."""
    files = state_of(request).resources.files
    return _none if files is None else partial(files.links.is_own, base=link_base(request))


def _none(_: str) -> bool:
    return False
