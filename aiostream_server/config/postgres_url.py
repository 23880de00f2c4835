"""The parameters of a PostgreSQL URL, as libpq knows them and hosts give them, for asyncpg.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS

Settings of the session (`options=-c name=value`, `schema`) are for the beginning of each transaction: a pooler such as
PgBouncer refuses them when a client connects, and gives each transaction another session.
"""

import configparser
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from aiostream_server.config.channel_binding import bind_channel

_IN_URL: Final = frozenset(("host", "port", "user", "password"))  # SQLAlchemy reads these itself
_ARGUMENTS: Final[Mapping[str, tuple[str, type]]] = {
    **{name: (name, str) for name in ("passfile", "service", "servicefile", "target_session_attrs", "krbsrvname")},
    "gsslib": ("gsslib", str),
    "timeout": ("timeout", float),
    "connect_timeout": ("timeout", float),
    "command_timeout": ("command_timeout", float),
}
_TLS: Final = frozenset(("sslmode", "ssl", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl"))
_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_WITHOUT_EFFECT: Final = frozenset(
    (
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        *("client_encoding", "fallback_application_name", "sslcompression", "sslsni", "hostaddr"),
        *("pgbouncer", "statement_cache_size", "prepared_statement_cache_size"),
    )
)
_ONLY: Final = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer"),
    "sslnegotiation": ("postgres", "direct"),
    "load_balance_hosts": ("disable",),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_SETTING: Final = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)=(.*)", re.ASCII | re.DOTALL)
_HOSTS: Final = re.compile(r"(postgres(?:ql)?(?:\+\w+)?://(?:[^/?#]*@)?)([^/?#@]+)(/[^?#]*)?(?:\?(.*))?", re.DOTALL)
_USER: Final = re.compile(r"(postgres(?:ql)?(?:\+\w+)?://)([^/?#@]+)@(.*)", re.DOTALL)
_UNPREPARED: Final = {"statement_cache_size": 0}
"""Behind a pooler, the next transaction may run in another session, which does not know a prepared statement."""


@dataclass(frozen=True, slots=True)
class PostgresParameters:
    """`in_url` stay in the URL, `arguments` are those of `asyncpg.connect`.

    `startup` is for the server when the connection begins, `settings` for the beginning of each transaction.
    """

    in_url: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    startup: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


def read_parameters(query: Mapping[str, str | tuple[str, ...]], password: str | None = None) -> PostgresParameters:
    """Raises `ValueError` for a parameter that cannot be followed; the message names it and says what to do.

    `password` is the URL's.
    """
    read = PostgresParameters(
        {name: value for name, value in query.items() if name in _IN_URL},
        dict(_UNPREPARED),
        {"application_name": "aiostream-server"},
    )
    texts = {name: value for name, value in query.items() if isinstance(value, str) and name not in _IN_URL}
    if repeated := query.keys() - texts.keys() - _IN_URL:
        raise ValueError(f"{min(repeated)} is given more than once in the URL")
    for name, value in texts.items():
        _read_one(name, value, read)
    if "service" in texts:
        read.arguments["servicefile"] = _service_file(texts["service"], texts.get("servicefile"))
        read.arguments["dsn"] = "postgresql://"  # asyncpg reads a service's file only where it is given a DSN
    is_bound = texts.get("channel_binding") == "require"
    if is_bound or texts.keys() & _TLS:
        read.arguments["ssl"] = _tls(texts, is_bound=is_bound)
    if is_bound:
        bind_channel(read.arguments["ssl"], password or _one(query.get("password")))
    if texts.get("sslnegotiation") == "direct":
        read.arguments["direct_tls"] = True
    return read


def _read_one(name: str, value: str, read: PostgresParameters) -> None:
    if name in _ONLY and value not in _ONLY[name]:
        raise ValueError(f"{name}={value} is not supported: leave it out of the URL")
    if name == "options":
        _read_options(value, read)
    elif name == "schema":
        read.settings["search_path"] = value
    elif name == "application_name":
        read.startup[name] = value
    elif name in _ARGUMENTS:
        argument, kind = _ARGUMENTS[name]
        read.arguments[argument] = _number(name, value, kind)
    elif name not in _TLS | _WITHOUT_EFFECT | _ONLY.keys():
        raise ValueError(f"{name} is not a parameter of PostgreSQL that this server knows: leave it out of the URL")


def with_plain_host(url: str) -> str:
    """The URL with several hosts, or a socket's folder in the place of the host, as parameters: SQLAlchemy's form."""
    found = _HOSTS.fullmatch(url)
    if found is None or not ("," in found[2] or found[2].lower().startswith("%2f")):
        return url
    before, hosts, path, query = found.groups(default="")
    if "," in hosts:
        named = "&".join(f"host={host if _has_port(host) else f'{host}:5432'}" for host in hosts.split(","))
    else:
        named = f"host={quote(unquote(hosts), safe='')}"
    return f"{before}{path or '/'}?{named}{'&' if query else ''}{query}"


def with_password(url: str, password: str) -> str:
    """The URL of a PostgreSQL with a password that is kept elsewhere. Raises `ValueError` where it has one."""
    found = _USER.fullmatch(url)
    if found is None:
        raise ValueError("the password is for a URL of PostgreSQL with a user: postgresql://user@host/name")
    scheme, user, rest = found.groups()
    if ":" in user:
        raise ValueError("the URL holds a password too: leave one of them out")
    return f"{scheme}{user}:{quote(password, safe='')}@{rest}"


def _has_port(host: str) -> bool:
    return ":" in host.rpartition("]")[2]


def _one(value: str | tuple[str, ...] | None) -> str | None:
    return value if isinstance(value, str) else None


def _read_options(text: str, read: PostgresParameters) -> None:
    """`-c name=value` is a setting. Anything else goes to the server unchanged: Neon reads `endpoint=...` there."""
    rest: list[str] = []
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", text)]
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = f"-c{words.pop(0)}"
        if found := _SETTING.fullmatch(word):
            read.settings[found[1].replace("-", "_")] = found[2]
        elif word.startswith("-"):
            raise ValueError(f"options={word} in the URL is not supported: only -c name=value is")
        else:
            rest.append(word)
    if rest:
        read.startup["options"] = " ".join(rest)


def _number(name: str, value: str, kind: type) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name}={value} in the URL is no number") from None


def _tls(query: Mapping[str, str], *, is_bound: bool) -> str | ssl.SSLContext:
    """asyncpg's `ssl`: a mode by its name, or a context where the URL names certificates or binds the channel."""
    mode = query.get("sslmode") or query.get("ssl") or ("require" if is_bound else "prefer")
    mode = {"true": "require", "1": "require", "no-verify": "require", "false": "disable", "0": "disable"}.get(
        mode, mode
    )
    if mode not in _MODES:
        raise ValueError(f"`sslmode` parameter must be one of: {', '.join(_MODES)}; the URL says {mode}")
    if is_bound and mode in ("disable", "allow"):
        raise ValueError(f"channel_binding=require needs TLS: write sslmode=require in the URL, not {mode}")
    files = {name: query[name] for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl") if query.get(name)}
    if mode == "disable" or not (files or is_bound or mode.startswith("verify")):
        return mode
    for name, file in files.items():
        if file != "system" and not Path(file).is_file():
            raise ValueError(f"{name} in the URL names a file that is not there: {file}")
    root = files.get("sslrootcert") or _usual_root()
    if root is None and mode.startswith("verify"):
        raise ValueError(f"sslmode={mode} needs sslrootcert in the URL: the file of the authority, or system")
    try:
        return _context(mode, root, files, query.get("sslpassword"))
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise ValueError(f"the certificates that the URL names cannot be used: {exc}") from None


def _service_file(service: str, file: str | None) -> str:
    """The file that has the service. asyncpg connects without it where there is none."""
    try:
        path = Path(file) if file else Path.home() / ".pg_service.conf"
        services = configparser.ConfigParser(interpolation=None)
        services.read(path)
    except (configparser.Error, RuntimeError, UnicodeDecodeError):
        raise ValueError("the file of services cannot be read: name another one with servicefile in the URL") from None
    if service not in services:
        raise ValueError(f"the service {service} is not in the service file: name the file with servicefile in the URL")
    return str(path)


def _usual_root() -> str | None:
    """The root certificate where libpq looks for it, too."""
    try:
        root = Path.home() / ".postgresql" / "root.crt"
    except RuntimeError:
        return None
    return str(root) if root.is_file() else None


def _context(mode: str, root: str | None, files: Mapping[str, str], key_password: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # With a root certificate, libpq treats `require` as `verify-ca`.
    context.check_hostname = mode == "verify-full" or root == "system"
    context.verify_mode = ssl.CERT_NONE if root is None else ssl.CERT_REQUIRED
    if root == "system":
        context.load_default_certs()
    elif root is not None:
        context.load_verify_locations(root)
    if "sslcert" in files:
        context.load_cert_chain(files["sslcert"], files.get("sslkey"), key_password)
    if "sslcrl" in files:
        context.load_verify_locations(files["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return context
