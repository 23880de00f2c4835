"""Without keys a server binds this machine's addresses only, and answers this machine's names only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from aiostream_server.errors import Forbidden
from aiostream_server.intake.keys import KeyRing, new_key
from aiostream_server.intake.loopback import bind_problem, check_local_host, is_loopback

WITH_KEYS = KeyRing([new_key("alice")[0]])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"],
)
@pytest.mark.parametrize("port", ["", ":8000", ":"])
def test_this_machine_is_answered(host: str, port: str) -> None:
    check_local_host(CIMultiDict(Host=f"{host}{port}"), KeyRing())


@pytest.mark.parametrize(
    "host",
    [
        *[
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evillocalhost",
            "0.0.0.0",
            "127.1",
            "::1",
        ],
        *["[::]", "[::1", "192.168.0.1", "[::ffff:10.0.0.1]", "", "localhost:80:80", "localhost:x", "a@localhost"],
        *["localhost/", "localhost, evil.example", "[localhost]", "２１２7.0.0.1", "localhost..", "2130706433"],
    ],
)
def test_another_name_is_forbidden(host: str) -> None:
    with pytest.raises(Forbidden, match="without API keys only requests to localhost are answered"):
        check_local_host(CIMultiDict(Host=host), KeyRing())


@pytest.mark.parametrize("headers", [[], [("Host", "localhost"), ("Host", "localhost")]])
def test_none_or_two_names_are_forbidden(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(Forbidden):
        check_local_host(CIMultiDict(headers), KeyRing())


@pytest.mark.parametrize(
    "header", ["Forwarded", "x-forwarded-for", "X-Forwarded-Host", "X-FORWARDED-PROTO", "X-Real-IP", "Via"]
)
def test_what_a_proxy_passes_on_is_forbidden_under_any_name(header: str) -> None:
    """However it is written, and whatever it says: a proxy on this machine speaks for the whole world."""
    for value in ("127.0.0.1", "", "for=localhost"):
        with pytest.raises(Forbidden, match=r"came through a proxy.* API keys are needed"):
            check_local_host(CIMultiDict([("Host", "localhost"), (header, value)]), KeyRing())


def test_the_version_that_nginx_asks_by_is_forbidden() -> None:
    with pytest.raises(Forbidden, match=r"HTTP/1\.0"):
        check_local_host(CIMultiDict(Host="127.0.0.1:8000"), KeyRing(), (1, 0))
    check_local_host(CIMultiDict(Host="127.0.0.1:8000"), WITH_KEYS, (1, 0))


def test_keys_protect_a_server_under_any_name() -> None:
    check_local_host(CIMultiDict(Host="ai.example"), WITH_KEYS)
    check_local_host(CIMultiDict({"Host": "ai.example", "X-Forwarded-For": "203.0.113.7"}), WITH_KEYS)


@given(st.text(max_size=30))
def test_any_text_is_judged(host: str) -> None:
    if not is_loopback(host):
        assert bind_problem(host, KeyRing())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_may_be_bound_without_keys(host: str) -> None:
    assert bind_problem(host, KeyRing()) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "ai.example"])
def test_other_addresses_need_keys_and_the_message_says_how(host: str) -> None:
    problem = bind_problem(host, KeyRing())
    assert problem is not None
    assert problem.startswith("[server] host: without API keys only a loopback address")
    assert "aiostream-server keys create NAME" in problem
    assert "[auth] keys_file" in problem
    assert bind_problem(host, WITH_KEYS) is None
