"""The log of a run: numbered without a gap, the same for everybody, never far ahead of who reads it."""

import asyncio
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from aiostream_server.events import Action, Dropped, Entry, Event, Message, RunFinished, SpeechKind, Token, TokenCount
from aiostream_server.log.entries import Entries
from aiostream_server.log.memory import MemoryLog, MemoryReader
from aiostream_server.log.protocol import Reader

END = RunFinished("stop", TokenCount(), 0.0)


def said(text: str = "x") -> Message:
    return Message("A", text)


async def test_numbers_start_at_one_and_have_no_gap() -> None:
    log = MemoryLog("r")
    log.append(said(), said())
    log.append(said())
    with log.reader() as reader:
        assert [entry.seq for entry in await reader.read()] == [1, 2, 3]
    assert log.committed == 3


async def test_nothing_is_taken_after_the_end() -> None:
    """Not even in the same call."""
    log = MemoryLog("r")
    log.append(said(), END, said())
    log.append(said())
    log.append(END)
    assert log.committed == 2
    with log.reader() as reader:
        assert not reader.at_end
        await reader.read()
        assert reader.at_end
        assert list(await reader.read()) == []


async def test_a_reader_waits_for_news_and_wakes_for_nothing_when_it_is_woken() -> None:
    log = MemoryLog("r")
    with log.reader() as reader:
        reader.wake()  # nobody waits: nothing happens
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


async def test_a_cancelled_read_can_be_tried_again() -> None:
    log = MemoryLog("r")
    with log.reader() as reader:
        read = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        read.cancel()
        await asyncio.wait((read,))
        log.append(said())
        assert len(await reader.read()) == 1


@pytest.mark.parametrize("after", range(6))
async def test_a_late_reader_reads_the_same(after: int) -> None:
    log = MemoryLog("r")
    log.append(*[said(str(number)) for number in range(3)])
    log.append(said("3"), END)
    with log.reader() as first, log.reader(after) as late:
        everything = list(await first.read())
        assert list(await late.read()) == everything[after:]


async def test_a_reader_from_the_future_waits_until_then() -> None:
    log = MemoryLog("r")
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


async def test_there_is_no_event_before_the_first() -> None:
    with pytest.raises(ValueError, match="numbered from 1"):
        MemoryLog("r").reader(-1)


async def test_a_run_without_viewers_does_not_wait() -> None:
    log = MemoryLog("r", max_ahead_bytes=10)
    log.append(said("x" * 100))
    await asyncio.wait_for(log.room(), 0.5)


async def _is_waiting(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_a_producer_waits_while_every_viewer_is_behind() -> None:
    log = MemoryLog("r", max_ahead_bytes=1_000)
    with log.reader() as fast, log.reader() as slow:
        log.append(said("x" * 2_000))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
        await fast.read()  # one that keeps up is enough
        await asyncio.wait_for(room, 0.5)
        await slow.read()


async def test_arguments_count_as_well() -> None:
    log = MemoryLog("r", max_ahead_bytes=1_000)
    with log.reader():
        log.append(Action("A", "t", "x" * 2_000, "c"))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
    await asyncio.wait_for(room, 0.5)


async def test_all_who_wait_for_room_are_let_go_when_a_viewer_moves() -> None:
    """Two agents may speak at once."""
    log = MemoryLog("r", max_ahead_bytes=1_000)
    with log.reader() as reader:
        log.append(said("x" * 2_000))
        rooms = [asyncio.create_task(log.room()) for _ in range(3)]
        assert await _is_waiting(rooms[0])
        rooms[1].cancel()  # one who gives up takes nobody along
        await asyncio.wait((rooms[1],))
        await reader.read()
        await asyncio.wait_for(asyncio.gather(rooms[0], rooms[2]), 0.5)


async def test_a_viewer_that_leaves_does_not_hold_the_run() -> None:
    log = MemoryLog("r", max_ahead_bytes=1_000)
    with log.reader():
        log.append(said("x" * 2_000))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
        assert log.viewers == 1
    await asyncio.wait_for(room, 0.5)
    assert log.viewers == 0


async def test_a_viewer_that_begins_at_the_end_is_not_behind() -> None:
    """It waits for the producer: would that wait for it, too, nothing would ever move."""
    log = MemoryLog("r", max_ahead_bytes=1_000)
    log.append(said("x" * 5_000))
    with log.reader(1):
        await asyncio.wait_for(log.room(), 0.5)


async def test_viewers_may_leave_all_at_once() -> None:
    log = MemoryLog("r", max_ahead_bytes=1_000)
    with log.reader(), log.reader():
        log.append(said("x" * 2_000))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
    await asyncio.wait_for(room, 0.5)


async def test_what_was_dropped_is_said() -> None:
    log = MemoryLog("r", max_bytes=2_000)
    log.append(*[said("x" * 100) for _ in range(20)])
    assert log.size_bytes <= 2_000
    with log.reader() as first, log.reader(3) as third, log.reader(19) as last:
        for reader, begin in ((first, 1), (third, 4)):
            gone, *kept = await reader.read()
            assert gone.event == Dropped(first=begin)
            assert [entry.seq for entry in kept] == list(range(gone.seq + 1, 21))
        assert [entry.seq for entry in await last.read()] == [20]


async def test_the_last_event_is_kept_whatever_its_size() -> None:
    log = MemoryLog("r", max_bytes=1_000)
    for _ in range(3):
        log.append(said("x" * 5_000))
        assert len(log.since(0)) in (1, 2)
    log.append(END)
    assert log.since(0)[-1].event == END


async def test_a_viewer_is_given_a_bounded_part_at_a_time() -> None:
    log = MemoryLog("r")
    log.append(*[said("x" * 1_000) for _ in range(100)], END)
    with log.reader() as reader:
        parts = []
        while not reader.at_end:
            parts.append(await reader.read())
    assert len(parts) > 5
    assert max(map(len, parts)) < 20
    assert [entry.seq for part in parts for entry in part] == list(range(1, 102))


async def test_a_producer_goes_on_once_the_slowest_has_read_what_is_left() -> None:
    """Behind by what was dropped meanwhile, too."""
    log = MemoryLog("r", max_ahead_bytes=1_000, max_bytes=3_000)
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


async def test_a_million_tokens_take_no_more_than_the_bound() -> None:
    log = MemoryLog("r", max_bytes=2 * 1024**2)
    token = Token("A", "a word ", "message")
    for _ in range(100):
        log.append(*[token] * 10_000)
        assert log.size_bytes <= 2 * 1024**2
    tracemalloc.start()
    for number in range(15_000):
        log.append(Token("A", f"{number} or {number} ", "message"))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 2.5 * 1024**2
    assert log.committed == 1_015_000


def _size(event: Event) -> int:
    entries = Entries()
    entries.add(event, 0.0)
    return entries.size_bytes


class Logs(RuleBasedStateMachine):
    """One log, any number of readers: each has read what was said behind its start, up to where it is; where something
    was dropped, it was told exactly what."""

    readers: Bundle[int] = Bundle("readers")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()

    @initialize(max_bytes=st.sampled_from([1, 1_000, 5_000, 1_000_000]))
    def begin(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.log = MemoryLog("r", max_ahead_bytes=1_000, max_bytes=max_bytes)
        self.said: list[object] = []
        self.open: dict[int, tuple[MemoryReader, int, list[Entry]]] = {}
        self.number = 0
        self.ended = False

    @rule(
        texts=st.lists(st.text(max_size=600), min_size=1, max_size=3), ends=st.sampled_from([False, False, False, True])
    )
    def append(self, texts: list[str], ends: bool) -> None:
        events = [said(text) for text in texts]
        self.log.append(*events, *([END] if ends else []))
        if not self.ended:
            self.said += [*events, *([END] if ends else [])]
            self.ended = ends

    @rule(
        agent=st.sampled_from("AB"),
        kind=st.sampled_from(["thinking", "final"]),
        texts=st.lists(st.text(max_size=200), max_size=4),
    )
    def say(self, agent: str, kind: SpeechKind, texts: list[str]) -> None:
        self.log.say(agent, kind, texts)
        if not self.ended:
            self.said += [Token(agent, text, kind) for text in texts]

    @rule(target=readers, after=st.integers(0, 10))
    def join(self, after: int) -> int:
        self.number += 1
        self.open[self.number] = (self.log.reader(after), after, [])
        return self.number

    @rule(number=readers)
    def read(self, number: int) -> None:
        reader, _, entries = self.open[number]
        entries += self.loop.run_until_complete(self._read(reader))

    @rule(number=consumes(readers))
    def leave(self, number: int) -> None:
        self.open.pop(number)[0].__exit__(None, None, None)

    async def _read(self, reader: Reader) -> Sequence[Entry]:
        asyncio.get_running_loop().call_soon(reader.wake)
        return await reader.read()

    @invariant()
    def everybody_reads_the_same(self) -> None:
        if not hasattr(self, "log"):
            return
        self._check(0, self.log.since(0))
        assert self.log.size_bytes <= self.max_bytes or len(self.log._entries._said) == 1
        for reader, after, entries in self.open.values():
            self._check(after, entries)
            assert not entries or reader.after == entries[-1].seq
            assert not reader.at_end or self.ended
            unread = sum(_size(entry.event) for entry in self._kept() if entry.seq > reader.after)
            assert self.log._unread_bytes(reader) == unread
        assert self.log.viewers == len(self.open)

    def _kept(self) -> Sequence[Entry]:
        return [entry for entry in self.log.since(0) if not isinstance(entry.event, Dropped)]

    def _check(self, after: int, entries: Sequence[Entry]) -> None:
        """No gap and no repetition, but for what stands for what was dropped."""
        for entry in entries:
            if isinstance(entry.event, Dropped):
                assert (entry.event.first, entry.seq >= entry.event.first) == (after + 1, True)
            else:
                assert entry.seq == after + 1
                assert entry.event == self.said[after]
            after = entry.seq

    def teardown(self) -> None:
        self.loop.close()


TestLogs = Logs.TestCase
TestLogs.settings = settings(max_examples=40, stateful_step_count=25)


@dataclass
class _Taking:
    """A shortcut that takes everything, tokens as they are only where it `takes_tokens`."""

    taken: list[int]
    takes_tokens: bool = True
    tokens: list[tuple[str, str, Sequence[str]]] = field(default_factory=list)

    def write_through(self, entries: Sequence[Entry]) -> bool:
        self.taken.extend(entry.seq for entry in entries)
        return True

    def write_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float) -> bool:
        if self.takes_tokens:
            self.tokens.append((agent, kind, texts))
        return self.takes_tokens


async def _waiting_reader(
    log: MemoryLog, taken: list[int], shortcut: _Taking | None = None
) -> asyncio.Task[Sequence[Entry]]:
    """Whoever takes what is new by the shortcut, while a task waits in `read`."""
    reader = log.reader()
    reader.shortcut = shortcut or _Taking(taken)
    read = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    return read


async def test_tokens_take_the_shortcut_in_the_call_that_appends_them() -> None:
    log, taken = MemoryLog("r"), list[int]()
    read = await _waiting_reader(log, taken)
    log.append(Token("A", "x", "final"), Token("A", "y", "final"))
    assert taken == [1, 2]
    log.append(Token("A", "z", "final"))
    assert taken == [1, 2, 3]
    assert not read.done()
    log.append(END)
    assert [entry.seq for entry in await read] == [4]


async def test_tokens_that_are_said_are_given_as_they_are_to_who_has_kept_up() -> None:
    log, taken = MemoryLog("r"), list[int]()
    shortcut = _Taking(taken)
    read = await _waiting_reader(log, taken, shortcut)
    assert log.say("A", "final", ["x", "y"])
    assert (shortcut.tokens, taken) == ([("A", "final", ["x", "y"])], [])
    log.append(said())
    log.say("A", "final", ["z"])  # behind an event that has not gone yet: they go together
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


async def test_who_waits_for_numbers_still_to_come_is_given_nothing_before() -> None:
    log, shortcut = MemoryLog("r"), _Taking([])
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


async def test_what_a_viewer_raises_over_tokens_ends_that_viewer_and_nobody_else() -> None:
    class Breaking(_Taking):
        def write_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float) -> bool:
            raise RuntimeError("broken")

    log, taken = MemoryLog("r"), list[int]()
    breaking = await _waiting_reader(log, [], Breaking([]))
    read = await _waiting_reader(log, taken)
    log.say("A", "final", ["x"])
    log.append(said())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="broken"):
        await breaking
    assert taken == [2]
    read.cancel()


async def test_saying_tells_whether_there_is_room_for_more() -> None:
    log = MemoryLog("r", max_ahead_bytes=300)
    assert log.say("A", "final", ["x" * 300])  # nobody watches
    with log.reader() as reader:
        assert not log.say("A", "final", ["x" * 10])
        await reader.read()
        assert log.say("A", "final", ["x"])
    log.append(END)
    assert log.say("A", "final", ["nothing is taken any more"])


async def test_other_events_take_it_together_in_the_next_turn_or_with_the_token_behind_them() -> None:
    log, taken = MemoryLog("r"), list[int]()
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
