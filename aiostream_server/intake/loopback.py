"""Access control of a server without keys: it serves only its own machine.

It binds a loopback address only. That alone does not keep web pages out: with DNS rebinding, a page's host name points
at 127.0.0.1 after the page was loaded, and the browser then sends the page's requests here. These carry the page's name
in `Host`, so only loopback names and addresses are answered.

A proxy on this machine connects from a loopback address, perhaps with a loopback name in `Host`, for clients anywhere.
So a request with a forwarding header is refused, and so is HTTP/1.0: nginx before 1.29.7 uses it by default and sends
no such header. These headers are only ever reasons to refuse; their values are never believed.
"""

import re
from ipaddress import IPv6Address, ip_address
from typing import Final

from multidict import MultiMapping

from aiostream_server.errors import Forbidden
from aiostream_server.intake.keys import KeyRing

_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{0,5})?")


def is_loopback(host: str) -> bool:
    """Whether a name or address (IPv6 without brackets) can only mean this machine.

    `localhost` and every name below it do: https://www.rfc-editor.org/rfc/rfc6761#section-6.3
    """
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def check_local_host(headers: MultiMapping[str], ring: KeyRing, http_version: tuple[int, int] = (1, 1)) -> None:
    """Raise `Forbidden` where there are no keys and `Host` is not this machine's, or a proxy is in between."""
    if ring:
        return
    proxied = "HTTP/1.0" if http_version < (1, 1) else next((name for name in _FORWARDED if name in headers), None)
    if proxied is not None:
        raise Forbidden(
            f"the request came through a proxy, it seems ({proxied}), behind which API keys are needed; "
            "`aiostream-server keys create` makes one"
        )
    hosts = headers.getall("Host", [])
    match = _HOST.fullmatch(hosts[0].strip()) if len(hosts) == 1 else None
    if match is None or not is_loopback(match[1] or match[2]):
        raise Forbidden(
            "without API keys only requests to localhost are answered; `aiostream-server keys create` makes one"
        )


def bind_problem(host: str, ring: KeyRing) -> str | None:
    """Why `host` may not be bound, and what to do about it; None where it may."""
    if ring or is_loopback(host):
        return None
    return (
        f'[server] host: without API keys only a loopback address such as "127.0.0.1" may be bound, got "{host}"; '
        "make a key with `aiostream-server keys create NAME --keys-file FILE` and name the file in [auth] keys_file"
    )
