"""The parameters of a PostgreSQL URL, as libpq knows them and hosts give them, for asyncpg.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_IN_URL: Final = frozenset(("host", "port", "user", "password"))  # SQLAlchemy reads these itself
_ARGUMENTS: Final[Mapping[str, tuple[str, type]]] = {
    **{name: (name, str) for name in ("passfile", "service", "servicefile", "target_session_attrs", "krbsrvname")},
    **{name: (name, int) for name in ("statement_cache_size", "prepared_statement_cache_size")},
    "gsslib": ("gsslib", str),
    "timeout": ("timeout", float),
    "connect_timeout": ("timeout", float),
    "command_timeout": ("command_timeout", float),
}
_SETTINGS: Final = {"application_name": "application_name", "options": "options", "schema": "search_path"}
_TLS: Final = frozenset(("sslmode", "ssl", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl"))
_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_WITHOUT_EFFECT: Final = frozenset(
    (
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        *("client_encoding", "fallback_application_name", "sslcompression", "sslsni", "hostaddr"),
    )
)
_ONLY: Final = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "sslnegotiation": ("postgres", "direct"),
    "load_balance_hosts": ("disable",),
    "pgbouncer": ("true", "false"),
}


@dataclass(frozen=True, slots=True)
class PostgresParameters:
    """`in_url` stay in the URL, `arguments` are those of `asyncpg.connect`, `settings` are the server's."""

    in_url: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


def read_parameters(query: Mapping[str, str | tuple[str, ...]]) -> PostgresParameters:
    """Raises `ValueError` for a parameter that cannot be followed; the message names it and says what to do."""
    read = PostgresParameters({name: value for name, value in query.items() if name in _IN_URL})
    texts = {name: value for name, value in query.items() if isinstance(value, str) and name not in _IN_URL}
    if repeated := query.keys() - texts.keys() - _IN_URL:
        raise ValueError(f"{min(repeated)} is given more than once in the URL")
    for name, value in texts.items():
        if name in _ONLY:
            _check_choice(name, value, _ONLY[name])
        elif name in _SETTINGS:
            read.settings[_SETTINGS[name]] = value
        elif name in _ARGUMENTS:
            argument, kind = _ARGUMENTS[name]
            read.arguments[argument] = _number(name, value, kind)
        elif name not in _TLS | _WITHOUT_EFFECT:
            raise ValueError(f"{name} is not a parameter of PostgreSQL that this server knows: leave it out of the URL")
    if texts.keys() & _TLS:
        read.arguments["ssl"] = _tls(texts)
    if texts.get("sslnegotiation") == "direct":
        read.arguments["direct_tls"] = True
    if texts.get("pgbouncer") == "true":  # a pooler gives each transaction another session
        read.arguments.update(statement_cache_size=0, prepared_statement_cache_size=0)
    return read


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value} is not supported: leave it out of the URL")


def _number(name: str, value: str, kind: type) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name}={value} in the URL is no number") from None


def _tls(query: Mapping[str, str]) -> str | ssl.SSLContext:
    """asyncpg's `ssl`: a mode by its name, or a context where the URL names certificates."""
    mode = query.get("sslmode") or query.get("ssl") or "prefer"
    mode = {"true": "require", "1": "require", "no-verify": "require", "false": "disable", "0": "disable"}.get(
        mode, mode
    )
    if mode not in _MODES:
        raise ValueError(f"`sslmode` parameter must be one of: {', '.join(_MODES)}; the URL says {mode}")
    files = {name: query[name] for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl") if query.get(name)}
    if not files or mode == "disable":
        return mode
    root = files.get("sslrootcert")
    for name, file in files.items():
        if file != "system" and not Path(file).is_file():
            raise ValueError(f"{name} in the URL names a file that is not there: {file}")
    try:
        context = ssl.create_default_context(cafile=None if root == "system" else root)
        if "sslcert" in files:
            context.load_cert_chain(files["sslcert"], files.get("sslkey"), query.get("sslpassword"))
        if "sslcrl" in files:
            context.load_verify_locations(files["sslcrl"])
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise ValueError(f"the certificates that the URL names cannot be used: {exc}") from None
    # With a root certificate, libpq treats `require` as `verify-ca`.
    is_verified = mode in ("verify-ca", "verify-full") or root is not None
    context.check_hostname = mode == "verify-full" or root == "system"
    context.verify_mode = ssl.CERT_REQUIRED if is_verified else ssl.CERT_NONE
    return context
