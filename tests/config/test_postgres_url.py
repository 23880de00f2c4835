"""URLs as hosts give them are followed, or refused by a sentence that names the parameter."""

import ssl
from pathlib import Path

import pytest

from aiostream_server.config.postgres_url import read_parameters, with_plain_host


def test_what_libpq_knows_is_translated() -> None:
    read = read_parameters(
        {
            "sslmode": "require",
            "application_name": "x",
            "connect_timeout": "5",
            "options": "-csearch_path=sales",
            "target_session_attrs": "read-only",
            "host": "/run/postgresql",
            "keepalives": "1",
            "channel_binding": "prefer",
            "sslnegotiation": "direct",
        }
    )
    assert read.in_url == {"host": "/run/postgresql"}
    assert read.arguments == {
        "ssl": "require",
        "timeout": 5,
        "target_session_attrs": "read-only",
        "direct_tls": True,
        "statement_cache_size": 0,
    }
    assert (read.startup, read.settings) == ({"application_name": "x"}, {"search_path": "sales"})


@pytest.mark.parametrize(
    ("options", "settings", "startup"),
    [
        ("-c search_path=sales,\\ crm --work-mem=8MB", {"search_path": "sales, crm", "work_mem": "8MB"}, None),
        ("endpoint=ep-cool-1 -cgeqo=off", {"geqo": "off"}, "endpoint=ep-cool-1"),
        ("-c a.b=c\\\\d", {"a.b": "c\\d"}, None),
        ("", {}, None),
    ],
)
def test_options_are_settings_of_each_transaction(options: str, settings: dict[str, str], startup: str | None) -> None:
    """What is no setting goes to the server as it is: Neon's proxy reads it there."""
    read = read_parameters({"options": options})
    assert (read.settings, read.startup.get("options")) == (settings, startup)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (
            "postgresql://u:p@a:1,b/d?target_session_attrs=read-write",
            "postgresql://u:p@/d?host=a:1&host=b:5432&target_session_attrs=read-write",
        ),
        ("postgres://u@%2Fcloudsql%2Fp:r:i/d", "postgres://u@/d?host=%2Fcloudsql%2Fp%3Ar%3Ai"),
        ("postgresql://a,b", "postgresql:///?host=a:5432&host=b:5432"),
        ("postgresql://u:p%2C@h/d", "postgresql://u:p%2C@h/d"),
        ("postgresql://u:p,q@h:1/d?x=a,b", "postgresql://u:p,q@h:1/d?x=a,b"),
        ("postgresql:///d?host=/run/postgresql", "postgresql:///d?host=/run/postgresql"),
    ],
)
def test_hosts_are_parameters(written: str, plain: str) -> None:
    assert with_plain_host(written) == plain


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("channel_binding", "require", "channel_binding=require needs the password in the URL"),
        ("channel_binding", "always", "channel_binding=always is not supported: leave it out of the URL"),
        ("target_session_attrs", "fast", "target_session_attrs=fast is not supported: leave it out of the URL"),
        ("options", "-d 2", "options=-d in the URL is not supported: only -c name=value is"),
        ("sslmode", "verify-full", "sslmode=verify-full needs sslrootcert in the URL"),
        ("connection_limit", "1", "connection_limit is not a parameter of PostgreSQL that this server knows"),
        ("connect_timeout", "soon", "connect_timeout=soon in the URL is no number"),
        ("sslmode", "perhaps", "`sslmode` parameter must be one of: disable, allow,"),
        ("sslrootcert", "/nowhere/root.crt", "sslrootcert in the URL names a file that is not there"),
        ("sslrootcert", __file__, "the certificates that the URL names cannot be used"),
    ],
)
def test_what_cannot_be_followed_is_named(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        read_parameters({name: value})
    assert sentence in str(caught.value)


def test_a_repeated_parameter_is_named() -> None:
    with pytest.raises(ValueError, match="options is given more than once"):
        read_parameters({"options": ("a", "b")})


def test_certificates_make_a_context(tmp_path: Path) -> None:
    verified = read_parameters({"sslmode": "verify-full", "sslrootcert": "system"}).arguments["ssl"]
    assert isinstance(verified, ssl.SSLContext)
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert read_parameters({"sslmode": "disable", "sslrootcert": "system"}).arguments["ssl"] == "disable"
