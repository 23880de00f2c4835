"""Bytes and headers become a request or one clear error, whatever they are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from aiostream_server.errors import InvalidRequest, ServerError, UnsupportedMedia
from aiostream_server.intake.body import check_headers, decode_json, parse_body
from aiostream_server.protocols.chat.request import ChatRequest, read_question
from tests.kit.doc_tables import request_fields

ROLES = ("system", "developer", "user", "assistant", "tool")
JSON = CIMultiDict({"content-type": "application/json"})
HELLO = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


def test_a_sound_body_is_a_request() -> None:
    request = parse_body(json.dumps(HELLO | {"stream": True}).encode(), ChatRequest)
    assert (request.model, request.stream) == ("auto", True)


def test_a_wrong_field_is_a_400_with_its_path() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_body(b'{"model": "auto", "messages": [{"role": "user", "content": 5}]}', ChatRequest)
    assert caught.value.param == "messages[0].content"
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json ; CharSet=utf8; profile=x",
        "application/vnd.api+json",
    ],
)
def test_json_in_utf8_is_accepted(content_type: str) -> None:
    check_headers(CIMultiDict({"Content-Type": content_type}))


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "json", "/+json", "+json"],
)
def test_another_content_type_is_a_415(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        check_headers(CIMultiDict({"Content-Type": content_type}))


def test_no_content_type_is_a_415() -> None:
    with pytest.raises(UnsupportedMedia):
        check_headers(CIMultiDict())


@pytest.mark.parametrize("charset", ["nope", "zlib_codec", "utf-16", "latin-1", ""])
def test_another_charset_is_a_400(charset: str) -> None:
    with pytest.raises(InvalidRequest, match="charset"):
        check_headers(CIMultiDict({"Content-Type": f"application/json; charset={charset}"}))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_a_compressed_body_is_a_415(encoding: str) -> None:
    with pytest.raises(UnsupportedMedia, match="compressed"):
        check_headers(CIMultiDict({**JSON, "Content-Encoding": encoding}))


def test_identity_is_no_compression() -> None:
    check_headers(CIMultiDict({**JSON, "Content-Encoding": "Identity"}))


@pytest.mark.parametrize("raw", [b"[]", b'"{}"', b"null", b"5", b"true"])
def test_only_an_object_is_a_request(raw: bytes) -> None:
    with pytest.raises(InvalidRequest, match="JSON object"):
        decode_json(raw)


# What a clumsy or hostile client might send: the right words in the wrong places.
WORDS = st.sampled_from([*ROLES, "function", "text", "image_url", "refusal", "", "hi", "data:image/png;base64,AAAA"])
KEYS = st.sampled_from(["role", "content", "type", "text", "image_url", "url", "tool_calls", "id", "function", "name"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | WORDS
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(ROLES), "content": ANY_JSON}, optional={"tool_calls": ANY_JSON, "tool_call_id": WORDS}
    ),
    max_size=4,
)
BODIES = st.fixed_dictionaries(
    {"model": WORDS, "messages": MESSAGES | ANY_JSON},
    optional={field.name: ANY_JSON for field in request_fields("openai-api.md")[2:]},
)


def answer(body: Any) -> None:
    try:
        read_question(parse_body(json.dumps(body).encode(), ChatRequest))
    except ServerError as exc:
        assert (exc.status, len(str(exc).splitlines())) == (400, 1)  # noqa: PT017


@given(ANY_JSON)
def test_random_json_is_a_question_or_a_400(body: Any) -> None:
    answer(body)


@given(BODIES)
def test_random_requests_are_a_question_or_a_400(body: Any) -> None:
    answer(body)


@given(
    st.binary(max_size=64), st.dictionaries(st.sampled_from(["Content-Type", "Content-Encoding"]), st.text(max_size=30))
)
def test_random_bytes_and_headers_are_a_request_or_an_error_of_ours(raw: bytes, headers: dict[str, str]) -> None:
    def read() -> None:
        check_headers(headers)
        parse_body(raw, ChatRequest)

    with pytest.raises(ServerError):
        read()
