"""Packed events: what is unpacked is what the log holds, from any number on, whatever agents say and however mixed."""

import math
from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import (
    Action,
    Answer,
    Dropped,
    Entry,
    Error,
    Event,
    Message,
    RunFinished,
    Token,
    TokenCount,
    ToolResult,
    Usage,
)
from aiostream_server.log.memory import MemoryLog
from aiostream_server.log.redis.packing import entries_in, pack, pack_entries

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
TOKENS = st.builds(Token, st.sampled_from(["A", "B", "Ä"]), TEXTS, st.sampled_from(["final", "thinking", "message"]))
EVENTS = st.one_of(
    TOKENS,
    TOKENS,
    TOKENS,
    st.builds(Answer, TEXTS, TEXTS, st.booleans()),
    st.builds(Action, TEXTS, TEXTS, TEXTS, TEXTS, st.booleans()),
    st.builds(ToolResult, TEXTS, TEXTS, TEXTS, TEXTS, st.booleans(), st.booleans(), TEXTS),
    st.builds(Usage, TEXTS, st.integers(0, 2**40), st.integers(0, 2**40)),
    st.builds(Error, TEXTS, TEXTS, st.none() | st.floats(0, 1e6), st.booleans()),
)


def unpacked(log: MemoryLog, after: int) -> list[Entry]:
    return [entry for packed in pack(log, after) for entry in entries_in(packed.payload, after)]


@given(st.lists(EVENTS, max_size=60), st.integers(0, 70))
def test_what_is_unpacked_is_what_was_packed(events: list[Event], after: int) -> None:
    log = MemoryLog("r")
    for event in events:
        log.append(event)
    log.append(RunFinished("stop", TokenCount(1, 2), 0.5))
    found, kept = unpacked(log, after), log.since(after)
    assert [(entry.seq, entry.event) for entry in found] == [(entry.seq, entry.event) for entry in kept]
    for entry, original in zip(found, kept, strict=True):
        assert -1e-6 < original.timestamp - entry.timestamp < 0.0011, "times are whole milliseconds"


def test_payloads_are_bounded_and_follow_each_other() -> None:
    log = MemoryLog("r")
    for number in range(3_000):
        log.say("A", "final", [f"{number} {'x' * 50}"])
    payloads = list(pack(log, 10))
    assert len(payloads) > 3
    assert max(len(packed.payload) for packed in payloads) < 64 * 1024
    assert [packed.first for packed in payloads] == [11, *(packed.last + 1 for packed in payloads[:-1])]
    assert payloads[-1].last == log.committed


def test_tokens_take_few_bytes() -> None:
    """At 50 tokens a second, written every 200 ms, with the 20 bytes that Redis takes for an entry."""
    log = MemoryLog("r")
    log.say("Assistant", "final", ["token"] * 10)
    (packed,) = pack(log, 0)
    assert (len(packed.payload) + 20) / 10 <= 16


@given(st.integers(1_700_000_000, 2_000_000_000), st.integers(0, 10**6), st.integers(-6, 6))
def test_a_time_is_shown_as_by_the_process_that_had_the_event(second: int, microsecond: int, steps: int) -> None:
    """To the last digit, also where rounding to microseconds carries into the millisecond."""
    time = second + microsecond / 1e6 - microsecond % 1000 / 1e6 - 5e-7  # near the edge of a millisecond
    for _ in range(abs(steps)):
        time = math.nextafter(time, math.inf if steps > 0 else 0.0)
    log = MemoryLog("run-1")
    log.add(Token("A", "hi", "message"), time)
    (shared,) = unpacked(log, 0)
    shown = [datetime.fromtimestamp(each, UTC).isoformat(timespec="milliseconds") for each in (time, shared.timestamp)]
    assert shown[0] == shown[1]


def test_what_the_last_events_of_a_run_repeat_is_compressed() -> None:
    """They hold the whole answer twice more."""
    log = MemoryLog("run-1")
    words = [f"word{number} " for number in range(400)]
    log.say("Solo", "message", words)
    last = log.committed
    log.append(Message("Solo", "".join(words)), Answer("Solo", "".join(words)))
    (packed,) = pack(log, last)
    assert len(packed.payload) < len("".join(words)) / 2
    assert [entry.event for entry in unpacked(log, last)] == [entry.event for entry in log.since(last)]


def test_a_log_that_has_dropped_its_oldest_packs_the_rest() -> None:
    log = MemoryLog("r", max_bytes=2_000)
    for _ in range(100):
        log.say("A", "final", ["x" * 20])
    (packed,) = pack(log, 0)
    assert packed.first == log.dropped + 1 > 1
    assert [entry.seq for entry in entries_in(packed.payload, 0)] == list(range(packed.first, 101))


def test_an_end_that_was_written_for_another_process_is_read_as_any_other() -> None:
    end = RunFinished("interrupted", TokenCount(), 1.0)
    packed = pack_entries([Entry(4_100, 5.0, Dropped(first=5)), Entry(4_101, 5.25, end)])
    assert (packed.first, packed.last) == (4_100, 4_101)
    assert list(entries_in(packed.payload, 7)) == [Entry(4_100, 5.0, Dropped(first=5)), Entry(4_101, 5.25, end)]


def test_an_event_of_a_newer_version_keeps_its_number() -> None:
    log = MemoryLog("r")
    log.append(Answer("A", "x"), Answer("A", "y"))
    (packed,) = pack(log, 0)
    newer = packed.payload.replace(b"final", b"fancy")
    assert [entry.event for entry in entries_in(newer, 0)] == [Dropped(first=1), Dropped(first=2)]


@given(st.binary(max_size=40))
def test_anything_else_is_an_error_and_never_a_crash(garbage: bytes) -> None:
    with suppress(ValueError):
        assert all(isinstance(entry, Entry) for entry in entries_in(garbage, 0))
