"""Which hosts belong to the public internet, by their names and addresses.

An address may be embedded in another one (IPv6), and an IPv4 address has more forms than four decimals. Registries:
https://www.iana.org/assignments/iana-ipv4-special-registry/, .../iana-ipv6-special-registry/.
"""

import ipaddress
import re
import socket
import unicodedata
from collections.abc import Collection
from typing import Final, TypeAlias

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_LOCAL_NAME: Final = re.compile(r"(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa)")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
HOW_TO_LIST: Final = "[components] hosts lists those that may be asked, or set trusted = true in its [[teams]] table"


def plain_host(host: str) -> str:
    """The host in the form of `[components] hosts`: in lower case, without brackets and a trailing dot."""
    return unicodedata.normalize("NFKC", host).strip().strip("[]").rstrip(".").lower()


def is_public(address: _Address) -> bool:
    """Whether an address, and the one that is embedded in it, belongs to the public internet."""
    inner: list[_Address | None] = []
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64 or int(address) < 2**32:  # also the deprecated ::a.b.c.d
            inner.append(ipaddress.IPv4Address(int(address) % 2**32))
    known = [each for each in inner if each is not None]
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address in _NAT64):
        return all(map(is_public, known))
    return address.is_global and not address.is_multicast and all(map(is_public, known))


def local_host_problem(host: str, allowed: Collection[str] = ()) -> str | None:
    """Why a host of a component must not be asked, as far as its name tells; None if it may be. Resolves nothing."""
    name = plain_host(host)
    if name in set(map(plain_host, allowed)):
        return None
    address = _literal(name)
    if address is None:
        return f"asks {host[:100]}, a name of a private network" if _LOCAL_NAME.fullmatch(name) else None
    return None if is_public(address) else f"asks {host[:100]}, which is no public address"


def _literal(name: str) -> _Address | None:
    """The address that a host is, also in the forms that only C's `inet_aton` knows: 2130706433, 0x7f.1, 127.1."""
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name)) if name and not name[-1].isspace() else None
    except (OSError, UnicodeEncodeError):
        return None
