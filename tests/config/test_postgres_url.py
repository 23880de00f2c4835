"""URLs as hosts give them are followed, or refused by a sentence that names the parameter."""

import ssl
from pathlib import Path

import pytest

from aiostream_server.config.postgres_url import read_parameters


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
    assert read.arguments == {"ssl": "require", "timeout": 5, "target_session_attrs": "read-only", "direct_tls": True}
    assert read.settings == {"application_name": "x", "options": "-csearch_path=sales"}


def test_behind_a_pooler_no_statement_is_kept() -> None:
    assert read_parameters({"pgbouncer": "true"}).arguments["statement_cache_size"] == 0


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("channel_binding", "require", "channel_binding=require is not supported: leave it out of the URL"),
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
