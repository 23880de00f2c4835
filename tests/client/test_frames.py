"""The parser of server-sent events yields the same events from any cut of a body."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.client.frames import SseParser

_LINES = st.lists(
    st.sampled_from([b"data: a", b"data:b", b"data:  c", b"data", b": heartbeat", b"event: x", b"id: 1", b"", b"",
                     "data: é\u2028".encode(), b"database: no"])
)  # fmt: skip
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def parse(*chunks: bytes) -> list[str]:
    parser = SseParser()
    return [data for chunk in chunks for data in parser.feed(chunk)]


@given(lines=_LINES, end=_ENDS, data=st.data())
def test_the_places_of_cuts_make_no_difference(lines: list[bytes], end: bytes, data: st.DataObject) -> None:
    body = b"".join(line + end for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    chunks = [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert parse(*chunks) == parse(body) == parse(body.replace(end, b"\n"))
    assert parse(*(body[at : at + 1] for at in range(len(body)))) == parse(body)


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: one\n\n", ["one"]),
        (b"\xef\xbb\xbfdata: one\n\n", ["one"]),
        (b"data: one\ndata: two\n\n", ["one\ntwo"]),
        (b"event: x\nid: 7\nretry: 5\ndata:one\n\n", ["one"]),
        (b": heartbeat\n\n", []),
        (b"data: half", []),
        (b"data: half\n", []),
        (b"event: x\n\n", []),
        (b"data\n\n", [""]),
        (b"data:  two spaces\n\n", [" two spaces"]),
    ],
)
def test_the_rules_of_the_standard(body: bytes, events: list[str]) -> None:
    assert parse(body) == events


@pytest.mark.parametrize("endless", [b"x" * 65536, b"data: " + b"x" * 65536 + b"\n"])
def test_an_endless_event_is_an_error(endless: bytes) -> None:
    with pytest.raises(ValueError, match="too long"):
        parse(*[endless] * 100)


def test_a_long_line_in_small_pieces_takes_linear_time() -> None:
    """Four times as long, four times the CPU time; joining each piece to all before it would take 16 times."""

    def cpu_s(length: int) -> float:
        parser, before = SseParser(), time.process_time()
        for _ in range(length // 16):
            assert not [*parser.feed(b"x" * 16)]
        return time.process_time() - before

    assert min(cpu_s(800_000) for _ in range(3)) < 9 * min(cpu_s(200_000) for _ in range(3))


def test_invalid_utf8_is_an_error() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        parse(b"data: \xff\n\n")
