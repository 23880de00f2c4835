"""The principal: a key in one of two headers, and what it may do. No answer repeats a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from aiostream_server.errors import InvalidRequest, ServerError, Unauthorized
from aiostream_server.intake.keys import KeyRing, new_key
from aiostream_server.intake.principal import LOCAL, Principal, authenticate

ALICE, ALICE_TEXT = new_key("alice", models=["data", "auto"])
WEBUI, WEBUI_TEXT = new_key("webui", trust_user_headers=True)
RING = KeyRing([ALICE, WEBUI])
KEY, OTHER = ALICE_TEXT.get_secret_value(), WEBUI_TEXT.get_secret_value()


def asked(*headers: tuple[str, str], ring: KeyRing = RING) -> Principal:
    return authenticate(CIMultiDict(headers), ring)


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Bearer {KEY}")],
        [("authorization", f"bearer  {KEY} ")],
        [("X-API-Key", KEY)],
        [("x-api-key", f" {KEY}")],
        [("Authorization", f"Bearer {KEY}"), ("X-API-Key", KEY)],
        [("Authorization", "Basic dXNlcjpwYXNz"), ("X-API-Key", KEY)],
        [("Authorization", f"Bearer {KEY}"), ("X-API-Key", "")],
        [("Authorization", f"Bearer {KEY}"), ("X-API-Key", " "), ("api-key", "")],
        [("Authorization", "Bearer "), ("X-API-Key", KEY)],
        [("api-key", KEY)],
        [("API-Key", KEY), ("Authorization", f"Bearer {KEY}")],
    ],
)
def test_key_is_taken_from_either_header(headers: list[tuple[str, str]]) -> None:
    """A proxy's own `Basic` login does not get in the way."""
    assert asked(*headers) == Principal(ALICE.id, "alice", frozenset({"data", "auto"}), trusted=False)


def test_key_may_be_trusted_about_users() -> None:
    assert asked(("X-API-Key", OTHER)).trusted


def test_key_may_use_its_models_only() -> None:
    assert asked(("X-API-Key", KEY)).allowed_models == frozenset({"data", "auto"})
    assert asked(("X-API-Key", OTHER)).allowed_models is None


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Basic dXNlcjpwYXNz")],
        [("Authorization", KEY)],
        [("Authorization", "Bearer")],
        [("Authorization", f"Bearer {KEY[:-1]}")],
        [("Authorization", "Bearer k\udcffy")],
        [("X-API-Key", "")],
        [("X-API-Key", f"Bearer {KEY}")],
    ],
)
def test_no_key_or_a_wrong_one_is_unauthorized(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(Unauthorized) as caught:
        asked(*headers)
    assert KEY[13:30] not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Bearer {KEY}"), ("X-API-Key", OTHER)],
        [("Authorization", f"Bearer {KEY}"), ("authorization", f"Bearer {KEY}")],
        [("X-API-Key", KEY), ("X-API-Key", OTHER)],
        [("api-key", KEY), ("X-API-Key", OTHER)],
    ],
)
def test_two_keys_are_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(*headers)
    assert "aio-" not in str(caught.value)


@pytest.mark.parametrize("headers", [[], [("Authorization", "Bearer anything")], [("X-API-Key", "a")] * 2])
def test_server_without_keys_ignores_what_is_presented(headers: list[tuple[str, str]]) -> None:
    principal = asked(*headers, ring=KeyRing())
    assert principal is LOCAL
    assert principal.trusted
    assert principal.allowed_models is None


@given(st.lists(st.tuples(st.sampled_from(["Authorization", "X-API-Key", "Host"]), st.text()), max_size=4))
def test_any_headers_are_refused_in_words_of_our_own(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(ServerError) as caught:
        asked(*headers)
    assert caught.value.status in (400, 401)
