"""A URL of Redis or Valkey: one server, the primary that Sentinels name, or a cluster.

    redis://[user[:password]@]host[:6379][/db]                          one server; rediss:// with TLS
    unix://[user[:password]@]/path/of.sock[?db=0]                       the same, at its socket
    redis+sentinel://[user[:password]@]host[:26379][,host ...]/service[/db]
    redis+cluster://[user[:password]@]host[:6379][,host ...]

The last two have forms with TLS, too: rediss+sentinel:// and rediss+cluster://. User and password are those of Redis.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

Kind = Literal["server", "socket", "sentinel", "cluster"]

_KINDS: Final[Mapping[str, Kind]] = {
    "redis": "server",
    "rediss": "server",
    "unix": "socket",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
}
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@/\s]+)(?::([0-9]{1,5}))?")
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL: Final = ("sentinel_username", "sentinel_password")
_EXAMPLES: Final = (
    "expected a URL such as redis://127.0.0.1:6379/0, rediss://… for TLS, unix:///run/redis/redis-server.sock?db=0, "
    "redis+sentinel://host:26379,host:26379/service, or redis+cluster://host:6379,host:6379"
)


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """`hosts` are those of Sentinels, of some nodes of a cluster, or the one server; with a socket there are none."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    is_tls: bool = False
    tls_files: Mapping[str, str] = field(default_factory=dict)
    """By redis-py's names: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`."""
    checks_certificate: bool = True
    checks_hostname: bool = True

    @property
    def has_password(self) -> bool:
        return bool(self.password or self.sentinel_password)


def parse_redis_url(url: str) -> RedisUrl:
    """Raises `ValueError`, which does not repeat the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_EXAMPLES) from None
    kind, is_tls = _KINDS.get(parts.scheme), parts.scheme.startswith("rediss")
    if kind is None or parts.fragment:
        raise ValueError(_EXAMPLES)
    user, _, hosts = parts.netloc.rpartition("@")
    username, _, password = (unquote(part) for part in user.partition(":"))
    options = _options(parts.query, kind, is_tls=is_tls)
    path = unquote(parts.path)
    if (kind == "socket") != (not hosts and bool(path.strip("/"))):
        raise ValueError(_EXAMPLES)
    service, db = ("", "") if kind == "socket" else _words_of(path, kind)
    if db and options.get("db"):
        raise ValueError(_EXAMPLES)
    number = _database(options.get("db") or db or "0", kind)
    checks_certificate = options.get("ssl_cert_reqs") != "none"
    return RedisUrl(
        kind,
        hosts=() if kind == "socket" else _hosts(hosts, kind),
        path=path if kind == "socket" else "",
        service=service,
        db=number,
        username=username or None,
        password=password or None,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        is_tls=is_tls,
        tls_files={name: options[name] for name in _FILES if name in options},
        checks_certificate=checks_certificate,
        checks_hostname=checks_certificate and options.get("ssl_check_hostname") != "false",
    )


def _words_of(path: str, kind: Kind) -> tuple[str, str]:
    """The service and the database that the path names; empty where it names none."""
    words = [word for word in path.split("/") if word]
    service = words.pop(0) if kind == "sentinel" and words else ""
    db = words.pop(0) if words else ""
    if words or (kind == "sentinel") != bool(service):
        raise ValueError(_EXAMPLES)
    return service, db


def _database(text: str, kind: Kind) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or (kind == "cluster" and int(text)):
        raise ValueError("a cluster has only database 0" if kind == "cluster" else "the database is a number")
    return int(text)


def _hosts(text: str, kind: Kind) -> tuple[tuple[str, int], ...]:
    found = [_HOST.fullmatch(host) for host in text.split(",")]
    if None in found or (kind == "server" and len(found) != 1):
        raise ValueError(_EXAMPLES)
    usual = 26379 if kind == "sentinel" else 6379
    hosts = tuple((each[1].strip("[]"), int(each[2] or usual)) for each in found if each is not None)
    if not all(0 < port < 65536 for _, port in hosts):
        raise ValueError(_EXAMPLES)
    return hosts


def _options(query: str, kind: Kind, *, is_tls: bool) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    choices: dict[str, tuple[str, ...] | None] = {"db": None}
    if is_tls:
        choices |= dict.fromkeys(_FILES)
        choices |= {"ssl_cert_reqs": ("required", "none"), "ssl_check_hostname": ("true", "false")}
    if kind == "sentinel":
        choices |= dict.fromkeys(_SENTINEL)
    for name, value in options.items():
        if name not in choices:
            known = ", ".join(sorted(choices))
            hint = "" if is_tls or not name.startswith("ssl_") else " (TLS needs rediss://)"
            raise ValueError(f"there is no option {name[:40]!r} in a URL of this kind{hint}: only {known}")
        if (allowed := choices[name]) is not None and value not in allowed:
            raise ValueError(f"the option {name} is one of: {', '.join(allowed)}")
        if name in _FILES and not Path(value).is_file():
            raise ValueError(f"the option {name} names no file")
    return options
