"""JSON is read strictly and written harmlessly."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.json_text import canonical, decode, dump, encode, load, quote

ANY_TEXT = st.text(st.characters(exclude_categories=()))
SOUND_TEXT = st.text()
SOUND_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | SOUND_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(SOUND_TEXT, inner),
)


@given(SOUND_JSON)
def test_what_the_standard_library_writes_is_read(value: object) -> None:
    assert decode(json.dumps(value).encode()) == value
    assert decode(json.dumps(value, ensure_ascii=False).encode()) == value


@given(SOUND_JSON)
def test_what_is_encoded_is_one_line_and_reads_back(value: object) -> None:
    line = encode(value)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line) == value


@given(ANY_TEXT)
def test_any_string_is_quoted_on_one_line_even_half_a_surrogate_pair(text: str) -> None:
    line = quote(text)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line) == text


@given(SOUND_JSON | ANY_TEXT | st.dictionaries(ANY_TEXT, ANY_TEXT))
def test_what_is_dumped_reads_back_halves_of_surrogate_pairs_included(value: object) -> None:
    assert load(dump(value)) == value
    assert load(json.dumps(value).encode()) == value


def test_what_is_no_json_is_not_loaded() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        load(b'{"a": ')


def test_a_pair_split_over_two_chunks_is_whole_in_the_end() -> None:
    halves = json.loads(quote("\ud83d")) + json.loads(quote("\ude00"))
    assert halves.encode("utf-16", "surrogatepass").decode("utf-16") == "😀"


@given(st.binary())
def test_random_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(InvalidRequest):
        decode(raw)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "the body is empty"),
        (b" \r\n\t", "the body is empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8: invalid start byte at byte 0"),
        (b'{"a": "\xff"}', "not UTF-8: invalid start byte at byte 7"),
        (b'["\xed\xa0\x80"]', "not UTF-8: invalid continuation byte at byte 2"),
        (b'["\xc0\x80"]', "not UTF-8: invalid start byte at byte 2"),
        (b'{"a": 1,}', "the body is not valid JSON: trailing comma in object (byte 8)"),
        (b"{} {}", "trailing characters"),
        (b"{'a': 1}", "object keys must be strings (byte 1)"),
        (b'["\n"]', "invalid character (byte 2)"),
        (b"[01]", "invalid number (byte 2)"),
        (b"[NaN]", "invalid character (byte 1)"),
        (b"[Infinity]", "invalid character (byte 1)"),
        (b"[-Infinity]", "invalid character (byte 2)"),
        (b"[1e999]", "Number out of range"),
        (b"[" + b"9" * 5000 + b"]", "Integer value out of range"),
        (rb'["\ud800"]', "surrogate pair"),
        (rb'["\udc00 and more text"]', "surrogate pair"),
        (rb'{"\ud800": 1}', "surrogate pair"),
        (b'{"a": "\xc3\xbc', "it ends before it is complete (byte 9)"),
        (rb'["\ud8', "it ends before it is complete (byte 6)"),
        (b"[" + b"[]," * 1_000_000 + b"[]]", "more than 1000000 JSON values"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(raw: bytes, complaint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(raw)
    assert complaint in str(caught.value)


def test_a_large_body_of_few_values_is_read() -> None:
    """An image of many megabytes is one value."""
    picture = "A" * 4_000_000
    assert decode(f'{{"url": "{picture}"}}'.encode()) == {"url": picture}


def test_of_equal_keys_the_last_one_counts() -> None:
    assert decode(b'{"a": 1, "a": 2}') == {"a": 2}


def test_numbers_that_json_does_not_have_are_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(float("nan"))


def test_equal_values_have_the_same_canonical_bytes() -> None:
    assert canonical({"a": 1, "b": {"c": 2, "d": [1, 2]}}) == canonical({"b": {"d": [1, 2], "c": 2}, "a": 1})
    assert canonical({"a": [1, 2]}) != canonical({"a": [2, 1]})
    assert canonical({"a": "1"}) != canonical({"a": 1})
