"""The user behind a key: believed from trusted keys, or with Open WebUI's signature, and from no others."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any, Final
from urllib.parse import quote

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import SecretStr

from aiostream_server.errors import InvalidRequest, Unauthorized
from aiostream_server.intake.principal import LOCAL, Principal, User
from aiostream_server.intake.user import LEEWAY_S, read_token, read_user

TRUSTED: Final = Principal("trusted1", "webui", None, trusted=True)
UNTRUSTED: Final = Principal("other123", "script", None, trusted=False)
SECRET: Final = SecretStr("a secret of more than thirty-two bytes")
ALICE: Final = {
    "X-OpenWebUI-User-Id": "8a0c-alice",
    "X-OpenWebUI-User-Name": "Alice%20%C3%84ngstr%C3%B6m",
    "X-OpenWebUI-User-Email": "alice@example.com",
    "X-OpenWebUI-User-Role": "user",
}
NAMES: Final = ["X-User-ID", "X-OpenWebUI-User-Jwt", *ALICE]


def user_of(
    headers: dict[str, str] | list[tuple[str, str]], principal: Principal = TRUSTED, secret: SecretStr | None = None
) -> User | None:
    return read_user(CIMultiDict(headers), principal, secret)


def token(secret: SecretStr = SECRET, *, without: tuple[str, ...] = (), algorithm: str = "HS256", **claims: Any) -> str:
    """As Open WebUI makes it, with some claims changed."""
    now = int(time.time())
    usual = {"sub": "8a0c-alice", "email": "alice@example.com", "name": "Alice", "role": "user"}
    made = {**usual, "iss": "open-webui", "iat": now, "exp": now + 300, **claims}
    key = secret.get_secret_value().encode().ljust(64, b"\0")
    return jwt.encode({name: made[name] for name in made.keys() - {*without}}, key, algorithm=algorithm)


def signed(header: str, payload: str = "{}") -> str:
    """A token by hand: whatever it says of itself, the signature is right."""
    text = b".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=") for part in (header, payload))
    signature = hmac.digest(SECRET.get_secret_value().encode(), text, hashlib.sha256)
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


class TestPlainHeaders:
    @pytest.mark.parametrize("principal", [TRUSTED, LOCAL])
    def test_trusted_caller_is_believed(self, principal: Principal) -> None:
        assert user_of(ALICE, principal) == User("8a0c-alice", "Alice Ängström", "alice@example.com", "user")
        assert user_of({"x-user-id": "bob"}, principal) == User("bob")

    def test_trusted_caller_that_names_no_user_asks_for_itself(self) -> None:
        assert user_of({}) is None
        assert user_of({"X-User-ID": "", "X-OpenWebUI-User-Id": " "}) is None
        assert user_of({"X-OpenWebUI-User-Name": "Alice", "X-OpenWebUI-Chat-Id": "c"}) is None

    @given(st.lists(st.tuples(st.sampled_from(NAMES), st.text()), max_size=6))
    def test_from_another_key_they_have_no_effect(self, headers: list[tuple[str, str]]) -> None:
        assert user_of(headers, UNTRUSTED) is None

    @given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=255))
    def test_name_comes_back_as_open_webui_encodes_it(self, name: str) -> None:
        user = user_of({**ALICE, "X-OpenWebUI-User-Name": quote(name.strip(), safe=" ")})
        assert user is not None
        assert user.name == name.strip()

    @pytest.mark.parametrize(
        "user_id", ["%41", "a%2Fb", "a+b", "O'Brien; DROP", "ángel", "DOMAIN\\al", "a,b", "a" * 255]
    )
    def test_id_is_taken_as_it_is_sent(self, user_id: str) -> None:
        """`%41` is not `A`: a user who chooses an id must not be able to choose another user's."""
        for header in ("X-User-ID", "X-OpenWebUI-User-Id"):
            assert user_of({header: user_id}) == User(user_id)

    def test_email_is_not_decoded(self) -> None:
        user = user_of({**ALICE, "X-OpenWebUI-User-Email": "100%25@example.com"})
        assert user is not None
        assert user.email == "100%25@example.com"

    @pytest.mark.parametrize(
        ("user_id", "words"),
        [
            ("a" * 256, "longer than 255 characters"),
            ("a\x07b", "cannot be printed"),
            ("a\tb", "cannot be printed"),
            ("a\udcff", "cannot be printed, or that are not UTF-8"),
            ("a\u200bb", "cannot be printed"),
            ("\u202eb", "cannot be printed"),
            ("{{USER_ID}}", "a template that was not filled in"),
            ("owui-{{USER_ID}}", "a template that was not filled in"),
        ],
    )
    def test_id_that_is_none_is_refused(self, user_id: str, words: str) -> None:
        for header in ("X-User-ID", "X-OpenWebUI-User-Id"):
            with pytest.raises(InvalidRequest, match=words) as caught:
                user_of({header: user_id})
            assert user_id not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("👨%E2%80%8D👩", "👨👩"),
            ("a%0A%00b", "ab"),
            ("%FF", "\N{REPLACEMENT CHARACTER}"),
            ("%zz", "%zz"),
            ("x" * 999, "x" * 255),
            ("", ""),
        ],
    )
    def test_an_odd_name_locks_no_user_out(self, name: str, shown: str) -> None:
        """People choose it themselves, an emoji's invisible joints included."""
        user = user_of({**ALICE, "X-OpenWebUI-User-Name": name})
        assert user is not None
        assert user.name == shown

    @pytest.mark.parametrize("name", ["X-User-ID", *ALICE])
    def test_header_that_comes_twice_is_refused(self, name: str) -> None:
        for second in ("bob", "alice"):
            with pytest.raises(InvalidRequest, match=f"the header {name} is sent more than once"):
                user_of([(name, "alice"), (name.lower(), second)])

    def test_two_headers_must_agree(self) -> None:
        assert user_of({**ALICE, "X-User-ID": "8a0c-alice"}) == user_of(ALICE)
        with pytest.raises(InvalidRequest, match="X-User-ID and X-OpenWebUI-User-Id name different users"):
            user_of({**ALICE, "X-User-ID": "bob"})

    @given(st.lists(st.tuples(st.sampled_from(NAMES), st.text()), max_size=6))
    def test_any_headers_name_a_user_or_are_refused(self, headers: list[tuple[str, str]]) -> None:
        for secret in (None, SECRET):
            try:
                user = user_of(headers, secret=secret)
            except (InvalidRequest, Unauthorized):
                continue
            assert user is None or (user.id.isprintable() and 0 < len(user.id) <= 255)


class TestToken:
    @pytest.mark.parametrize("principal", [TRUSTED, UNTRUSTED, LOCAL])
    def test_is_believed_from_every_key(self, principal: Principal) -> None:
        headers = {"x-openwebui-user-jwt": token(name="Alice Ängström")}
        expected = User("8a0c-alice", "Alice Ängström", "alice@example.com", "user")
        assert user_of(headers, principal, SECRET) == expected

    def test_takes_the_place_of_the_plain_headers(self) -> None:
        """A caller that can set them need not have the secret."""
        with pytest.raises(Unauthorized, match="not believed without the signed token"):
            user_of({**ALICE, "X-OpenWebUI-User-Id": "mallory"}, secret=SECRET)
        assert user_of({"X-OpenWebUI-User-Id": "mallory"}, UNTRUSTED, SECRET) is None
        both = {"X-OpenWebUI-User-Id": "mallory", "X-OpenWebUI-User-Jwt": token()}
        user = user_of(both, secret=SECRET)
        assert user is not None
        assert user.id == "8a0c-alice"

    def test_leaves_the_id_of_trusted_keys(self) -> None:
        assert user_of({"X-User-ID": "bob"}, secret=SECRET) == User("bob")
        assert user_of({"X-User-ID": "bob"}, UNTRUSTED, SECRET) is None
        with pytest.raises(InvalidRequest, match="X-User-ID and X-OpenWebUI-User-Jwt name different users"):
            user_of({"X-User-ID": "bob", "X-OpenWebUI-User-Jwt": token()}, secret=SECRET)
        by_token = user_of({"X-User-ID": "bob", "X-OpenWebUI-User-Jwt": token()}, UNTRUSTED, SECRET)
        assert by_token is not None
        assert by_token.id == "8a0c-alice"

    def test_is_ignored_where_no_secret_is_configured(self) -> None:
        assert user_of({"X-OpenWebUI-User-Jwt": "rubbish"}) is None
        assert user_of({**ALICE, "X-OpenWebUI-User-Jwt": token(sub="bob")}) == user_of(ALICE)

    @pytest.mark.parametrize("length", [1, 31, 32, 63, 64, 65, 200])
    def test_secret_of_any_length_verifies_what_it_signed(self, length: int) -> None:
        """As HMAC itself signs, not only as PyJWT does; and without a warning for every request."""
        secret = SecretStr("s" * length)
        header, payload, signature = token(secret).split(".")
        digest = hmac.digest(b"s" * length, f"{header}.{payload}".encode(), hashlib.sha256)
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == signature
        assert read_token(f"{header}.{payload}.{signature}", secret).id == "8a0c-alice"

    def test_clocks_may_differ_a_little(self) -> None:
        now = time.time()
        assert read_token(token(exp=now - LEEWAY_S + 5), SECRET)
        assert read_token(token(iat=now + LEEWAY_S - 5), SECRET)

    @pytest.mark.parametrize(
        ("made", "words"),
        [
            (lambda: token(exp=time.time() - LEEWAY_S - 5), "has expired"),
            (lambda: token(iat=time.time() + LEEWAY_S + 5), "was made in the future"),
            (lambda: token(nbf=time.time() + 3600), "was made in the future"),
            (lambda: token(SecretStr("another secret of more than 32 bytes")), "is signed with another secret"),
            (lambda: token(iss="another"), "is not issued by open-webui"),
            (lambda: token(without=("iss",)), "lacks the claim iss"),
            (lambda: token(without=("exp",)), "lacks the claim exp"),
            (lambda: token(without=("sub",)), "lacks the claim sub"),
            (lambda: token(exp="soon"), "is no token that Open WebUI signs"),
            (lambda: token(exp=float("inf")), "is no token that Open WebUI signs"),
            (lambda: token(exp=True), "has expired"),
            (lambda: signed('{"alg":"HS256"}', '{"sub":7,"iss":"open-webui","exp":99999999999}'), "is no token that"),
            (lambda: token(sub=""), "names no user"),
            (lambda: token(sub="a\nb"), "names no user"),
            (lambda: token(sub="a" * 256), "names no user"),
            (lambda: token(aud="another"), "is no token that"),
            (lambda: token(algorithm="HS512"), "is no token that Open WebUI signs (HS256)"),
            (lambda: jwt.encode({"sub": "a"}, "", algorithm="none"), "is no token that Open WebUI signs (HS256)"),
            (lambda: token().rpartition(".")[0] + ".", "is signed with another secret"),
            (lambda: signed('{"alg":"none"}'), "is no token that"),
            (lambda: signed('{"alg":"RS256"}'), "is no token that"),
            (lambda: signed('{"alg":["HS256"]}'), "is no token that"),
            (lambda: signed('{"alg":"HS256","b64":false,"crit":["b64"]}'), "is no token that"),
            (lambda: signed('{"alg":"HS256","crit":["x"],"x":1}'), "is no token that"),
            (lambda: signed("[" * 4000), "is no token that"),
            (lambda: signed('{"alg":"HS256"}', "[" * 4000), "is no token that"),
            (lambda: signed('{"alg":"HS256"}', "[]"), "is no token that"),
            (lambda: "rubbish", "is no token that"),
            (lambda: "a.b.c", "is no token that"),
            (lambda: "é.é.é", "is no token"),
            (lambda: "\udcff", "is no token"),
        ],
    )
    @pytest.mark.parametrize("principal", [TRUSTED, UNTRUSTED])
    def test_what_is_not_valid_is_unauthorized(self, made: Any, words: str, principal: Principal) -> None:
        sent = made()
        with pytest.raises(Unauthorized) as caught:
            user_of({"X-OpenWebUI-User-Jwt": sent}, principal, SECRET)
        message = str(caught.value)
        assert message.startswith(f"the token in X-OpenWebUI-User-Jwt {words}")
        assert "\n" not in message
        assert sent not in message
        assert SECRET.get_secret_value() not in message

    def test_secret_that_is_no_hmac_key_verifies_nothing(self) -> None:
        """PyJWT, and Open WebUI with it, refuses to sign with what looks like a public key."""
        for text in ("-----BEGIN PUBLIC KEY-----MIIB-----END PUBLIC KEY-----", json.dumps({"kty": "oct", "k": "AA"})):
            with pytest.raises(Unauthorized):
                read_token(token(), SecretStr(text))

    def test_two_tokens_are_refused(self) -> None:
        pair = ("X-OpenWebUI-User-Jwt", token())
        with pytest.raises(InvalidRequest, match="is sent more than once"):
            user_of([pair, pair], UNTRUSTED, SECRET)

    def test_other_claims_may_be_anything(self) -> None:
        assert read_token(token(without=("iat", "name"), email=None, role=["x"], more={"a": 1}), SECRET) == User(
            "8a0c-alice"
        )

    @given(st.dictionaries(st.sampled_from(["iss", "sub", "exp", "iat", "nbf", "jti", "aud"]), st.none() | st.text()))
    def test_any_claims_are_read_or_refused(self, claims: dict[str, str | None]) -> None:
        try:
            read_token(signed('{"alg":"HS256"}', json.dumps(claims)), SECRET)
        except Unauthorized:
            return
        assert claims["iss"] == "open-webui"
