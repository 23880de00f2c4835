"""The contract of `Log` and `Reader`: numbered without a gap, the same for every reader, with backpressure.

A second implementation is tested by adding it to `IMPLEMENTATIONS`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from unittest.mock import patch

import pytest

from aiostream_server.events import Action, Dropped, Entry, Event, Message, RunFinished, SpeechKind, Token, TokenCount
from aiostream_server.log.memory import MemoryLog
from aiostream_server.log.protocol import Log, Reader
from aiostream_server.log.redis.reserved import ReservedLog
from tests.kit.waiting import DEADLINE_S

NewLog: TypeAlias = Callable[..., Log]
"""Called with a run's id, and perhaps `max_bytes` and `max_ahead_bytes`."""

IMPLEMENTATIONS: Final[dict[str, NewLog]] = {"memory": MemoryLog, "with reserved numbers": ReservedLog}
END: Final = RunFinished("stop", TokenCount(), 0.0)


@pytest.fixture(params=IMPLEMENTATIONS)
def new_log(request: pytest.FixtureRequest) -> NewLog:
    return IMPLEMENTATIONS[request.param]


def said(text: str = "x") -> Message:
    return Message("A", text)


async def test_a_reader_sees_what_is_committed(new_log: NewLog) -> None:
    log = new_log("r")
    assert log.committed == 0
    log.append(said())
    with log.reader() as reader:
        assert [entry.seq for entry in await reader.read()] == [1]
    assert log.committed == 1


async def test_listeners_are_told_of_events_and_of_the_first_token(new_log: NewLog) -> None:
    log, heard = new_log("r"), list[Event]()
    log.on_event = heard.append
    log.say("A", "final", ["x", "y"])
    log.append(Token("A", "z", "final"), said(), END)
    assert heard == [Token("A", "x", "final"), said(), END]
    log.on_event = None
    assert log.finished


async def test_numbers_start_at_one_and_have_no_gap(new_log: NewLog) -> None:
    log = new_log("r")
    log.append(said(), said())
    log.append(said())
    with log.reader() as reader:
        assert [entry.seq for entry in await reader.read()] == [1, 2, 3]
    assert log.committed == 3


async def test_nothing_is_taken_after_the_end(new_log: NewLog) -> None:
    """Not even in the same call."""
    log = new_log("r")
    log.append(said(), END, said())
    log.append(said())
    log.append(END)
    assert log.committed == 2
    with log.reader() as reader:
        assert not reader.at_end
        await reader.read()
        assert reader.at_end
        assert list(await reader.read()) == []


async def test_a_reader_waits_for_events_and_returns_none_when_woken(new_log: NewLog) -> None:
    log = new_log("r")
    with log.reader() as reader:
        reader.wake()  # no read waits: nothing happens
        read = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        assert not read.done()
        log.append(said())
        assert len(await read) == 1
        read = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        reader.wake()
        reader.wake()
        assert list(await read) == []


async def test_a_cancelled_read_can_be_tried_again(new_log: NewLog) -> None:
    log = new_log("r")
    with log.reader() as reader:
        read = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        read.cancel()
        await asyncio.wait((read,))
        log.append(said())
        assert len(await reader.read()) == 1


@pytest.mark.parametrize("after", range(6))
async def test_a_late_reader_reads_the_same(new_log: NewLog, after: int) -> None:
    log = new_log("r")
    log.append(*[said(str(number)) for number in range(3)])
    log.append(said("3"), END)
    with log.reader() as first, log.reader(after) as late:
        everything = list(await first.read())
        assert list(await late.read()) == everything[after:]


async def test_a_reader_behind_the_end_waits_for_later_numbers(new_log: NewLog) -> None:
    log = new_log("r")
    with log.reader(2) as reader:
        log.append(said())
        read = asyncio.create_task(_all(reader))
        log.append(said())
        await asyncio.sleep(0)
        log.append(said("third"), END)
        assert [entry.seq for entry in await read] == [3, 4]


async def _all(reader: Reader) -> Sequence[Entry]:
    entries: list[Entry] = []
    while not reader.at_end:
        entries += await reader.read()
    return entries


async def test_a_negative_cursor_is_refused(new_log: NewLog) -> None:
    with pytest.raises(ValueError, match="numbered from 1"):
        new_log("r").reader(-1)


async def test_a_run_without_viewers_does_not_wait(new_log: NewLog) -> None:
    log = new_log("r", max_ahead_bytes=10)
    log.append(said("x" * 100))
    await asyncio.wait_for(log.room(), DEADLINE_S)


async def _is_waiting(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_a_producer_waits_while_every_viewer_is_behind(new_log: NewLog) -> None:
    log = new_log("r", max_ahead_bytes=1_000)
    with log.reader() as fast, log.reader() as slow:
        log.append(said("x" * 2_000))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
        await fast.read()  # one viewer that keeps up is enough
        await asyncio.wait_for(room, DEADLINE_S)
        await slow.read()


async def test_arguments_count_as_well(new_log: NewLog) -> None:
    log = new_log("r", max_ahead_bytes=1_000)
    with log.reader():
        log.append(Action("A", "t", "x" * 2_000, "c"))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
    await asyncio.wait_for(room, DEADLINE_S)


async def test_all_blocked_producers_continue_when_a_viewer_reads(new_log: NewLog) -> None:
    """Two agents may speak at once."""
    log = new_log("r", max_ahead_bytes=1_000)
    with log.reader() as reader:
        log.append(said("x" * 2_000))
        rooms = [asyncio.create_task(log.room()) for _ in range(3)]
        assert await _is_waiting(rooms[0])
        rooms[1].cancel()  # a cancelled producer does not affect the others
        await asyncio.wait((rooms[1],))
        await reader.read()
        await asyncio.wait_for(asyncio.gather(rooms[0], rooms[2]), DEADLINE_S)


async def test_a_viewer_that_leaves_frees_the_producer(new_log: NewLog) -> None:
    log = new_log("r", max_ahead_bytes=1_000)
    with log.reader():
        log.append(said("x" * 2_000))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
        assert log.viewers == 1
    await asyncio.wait_for(room, DEADLINE_S)
    assert log.viewers == 0


async def test_a_viewer_that_begins_at_the_end_is_not_behind(new_log: NewLog) -> None:
    """It waits for the producer: if the producer waited for it, both would wait for ever."""
    log = new_log("r", max_ahead_bytes=1_000)
    log.append(said("x" * 5_000))
    with log.reader(1):
        await asyncio.wait_for(log.room(), DEADLINE_S)


async def test_viewers_may_leave_all_at_once(new_log: NewLog) -> None:
    log = new_log("r", max_ahead_bytes=1_000)
    with log.reader(), log.reader():
        log.append(said("x" * 2_000))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
    await asyncio.wait_for(room, DEADLINE_S)


async def test_readers_are_told_what_was_dropped(new_log: NewLog) -> None:
    log = new_log("r", max_bytes=2_000)
    log.append(*[said("x" * 100) for _ in range(20)])
    assert log.size_bytes <= 2_000
    with log.reader() as first, log.reader(3) as third, log.reader(19) as last:
        for reader, begin in ((first, 1), (third, 4)):
            gone, *kept = await reader.read()
            assert gone.event == Dropped(first=begin)
            assert [entry.seq for entry in kept] == list(range(gone.seq + 1, 21))
        assert [entry.seq for entry in await last.read()] == [20]


async def test_the_last_event_is_kept_whatever_its_size(new_log: NewLog) -> None:
    log = new_log("r", max_bytes=1_000)
    for _ in range(3):
        log.append(said("x" * 5_000))
        assert len(log.since(0)) in (1, 2)
    log.append(END)
    assert log.since(0)[-1].event == END


async def test_a_viewer_is_given_a_bounded_part_at_a_time(new_log: NewLog) -> None:
    log = new_log("r")
    log.append(*[said("x" * 1_000) for _ in range(100)], END)
    with log.reader() as reader:
        parts = []
        while not reader.at_end:
            parts.append(await reader.read())
    assert len(parts) > 5
    assert max(map(len, parts)) < 20
    assert [entry.seq for part in parts for entry in part] == list(range(1, 102))


async def test_a_producer_continues_once_the_slowest_viewer_has_caught_up(new_log: NewLog) -> None:
    """Events that were dropped meanwhile count as unread, too."""
    log = new_log("r", max_ahead_bytes=1_000, max_bytes=3_000)
    with log.reader() as slow:
        with log.reader() as fast:
            for _ in range(100):
                log.append(said("x" * 100))
                await fast.read()
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
        assert log.has_blocked_producer
        while not room.done():
            assert await slow.read()
            await asyncio.sleep(0)
        assert not log.has_blocked_producer


@dataclass
class _Taking:
    """A shortcut that takes everything; texts of tokens only if `takes_tokens`."""

    taken: list[int]
    takes_tokens: bool = True
    tokens: list[tuple[str, str, Sequence[str]]] = field(default_factory=list)

    def write_through(self, entries: Sequence[Entry]) -> bool:
        self.taken.extend(entry.seq for entry in entries)
        return True

    def write_tokens(
        self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float, times: Sequence[float] = ()
    ) -> bool:
        if self.takes_tokens:
            self.tokens.append((agent, kind, texts))
        return self.takes_tokens


async def _waiting_reader(log: Log, taken: list[int], shortcut: _Taking | None = None) -> asyncio.Task[Sequence[Entry]]:
    """A task that waits in `read` of a reader with a shortcut."""
    reader = log.reader()
    reader.shortcut = shortcut or _Taking(taken)
    read = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    return read


async def test_tokens_take_the_shortcut_in_the_call_that_appends_them(new_log: NewLog) -> None:
    log, taken = new_log("r"), list[int]()
    read = await _waiting_reader(log, taken)
    log.append(Token("A", "x", "final"), Token("A", "y", "final"))
    assert taken == [1, 2]
    log.append(Token("A", "z", "final"))
    assert taken == [1, 2, 3]
    assert not read.done()
    log.append(END)
    assert [entry.seq for entry in await read] == [4]


async def test_said_tokens_are_given_as_texts_to_readers_that_kept_up(new_log: NewLog) -> None:
    log, taken = new_log("r"), list[int]()
    shortcut = _Taking(taken)
    read = await _waiting_reader(log, taken, shortcut)
    assert log.say("A", "final", ["x", "y"])
    assert (shortcut.tokens, taken) == ([("A", "final", ["x", "y"])], [])
    log.append(said())
    log.say("A", "final", ["z"])  # behind an event that was not written yet: both are written together
    assert (len(shortcut.tokens), taken) == (1, [3, 4])
    shortcut.takes_tokens = False
    log.say("A", "final", ["v"])
    assert taken == [3, 4, 5]
    assert [entry.event for entry in log.since(0)] == [
        Token("A", "x", "final"),
        Token("A", "y", "final"),
        said(),
        Token("A", "z", "final"),
        Token("A", "v", "final"),
    ]
    assert not read.done()
    read.cancel()


async def test_a_shortcut_gets_nothing_before_its_cursor(new_log: NewLog) -> None:
    log, shortcut = new_log("r"), _Taking([])
    reader = log.reader(2)
    reader.shortcut = shortcut
    read = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    with patch.object(shortcut, "write_through", side_effect=AssertionError):
        log.say("A", "final", ["x"])
        log.append(said())
        await asyncio.sleep(0)
    log.say("A", "final", ["y"])
    assert [texts for _, _, texts in shortcut.tokens] == [["y"]]
    read.cancel()


async def test_an_exception_of_a_shortcut_ends_only_its_reader(new_log: NewLog) -> None:
    class Breaking(_Taking):
        def write_tokens(
            self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float, times: Sequence[float] = ()
        ) -> bool:
            raise RuntimeError("broken")

    log, taken = new_log("r"), list[int]()
    breaking = await _waiting_reader(log, [], Breaking([]))
    read = await _waiting_reader(log, taken)
    log.say("A", "final", ["x"])
    log.append(said())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="broken"):
        await breaking
    assert taken == [2]
    read.cancel()


async def test_saying_tells_whether_there_is_room_for_more(new_log: NewLog) -> None:
    log = new_log("r", max_ahead_bytes=300)
    assert log.say("A", "final", ["x" * 300])  # no viewer
    with log.reader() as reader:
        assert not log.say("A", "final", ["x" * 10])
        await reader.read()
        assert log.say("A", "final", ["x"])
    log.append(END)
    assert log.say("A", "final", ["ignored"])


async def test_other_events_take_the_shortcut_in_the_next_iteration_or_with_the_next_token(new_log: NewLog) -> None:
    log, taken = new_log("r"), list[int]()
    read = await _waiting_reader(log, taken)
    log.append(said())
    log.append(said())
    assert taken == []
    await asyncio.sleep(0)
    assert taken == [1, 2]
    log.append(said())
    log.append(Token("A", "x", "final"))
    assert taken == [1, 2, 3, 4]
    await asyncio.sleep(0)
    assert taken == [1, 2, 3, 4]
    read.cancel()


async def test_read_returns_what_the_shortcut_does_not_take(new_log: NewLog) -> None:
    class Refusing(_Taking):
        def write_through(self, entries: Sequence[Entry]) -> bool:
            return False

    log = new_log("r")
    read = await _waiting_reader(log, [], Refusing([], takes_tokens=False))
    log.append(said())
    assert [entry.seq for entry in await read] == [1]


async def test_an_exception_over_other_events_ends_only_its_reader(new_log: NewLog) -> None:
    class Breaking(_Taking):
        def write_through(self, entries: Sequence[Entry]) -> bool:
            raise RuntimeError("broken")

    log, taken = new_log("r"), list[int]()
    breaking = await _waiting_reader(log, [], Breaking([]))
    read = await _waiting_reader(log, taken)
    log.append(said())
    with pytest.raises(RuntimeError, match="broken"):
        await breaking
    assert taken == [1]
    read.cancel()


async def test_a_shortcut_is_not_used_while_no_read_waits(new_log: NewLog) -> None:
    log, taken = new_log("r"), list[int]()
    with log.reader() as reader:
        reader.shortcut = _Taking(taken)
        log.append(said())
        log.say("A", "final", ["x"])
        await asyncio.sleep(0)
        assert taken == []
        assert [entry.seq for entry in await reader.read()] == [1, 2]
