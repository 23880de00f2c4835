"""The log of a run: numbered without a gap, the same for everybody, never far ahead of who reads it."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from aiostream_server.events import Action, Entry, Message, RunFinished, TokenCount
from aiostream_server.store.log import Reader, RunLog

END = RunFinished("stop", TokenCount(), 0.0)


def said(text: str = "x") -> Message:
    return Message("A", text)


async def test_numbers_start_at_one_and_have_no_gap() -> None:
    log = RunLog("r")
    log.append(said(), said())
    log.append(said())
    with log.reader() as reader:
        assert [entry.seq for entry in await reader.read()] == [1, 2, 3]
    assert len(log) == 3


async def test_nothing_is_taken_after_the_end() -> None:
    """Not even in the same call."""
    log = RunLog("r")
    log.append(said(), END, said())
    log.append(said())
    log.append(END)
    assert len(log) == 2
    with log.reader() as reader:
        assert not reader.at_end
        await reader.read()
        assert reader.at_end
        assert list(await reader.read()) == []


async def test_a_reader_waits_for_news_and_wakes_for_nothing_when_it_is_woken() -> None:
    log = RunLog("r")
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
    log = RunLog("r")
    with log.reader() as reader:
        read = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        read.cancel()
        await asyncio.wait((read,))
        log.append(said())
        assert len(await reader.read()) == 1


@pytest.mark.parametrize("after", range(6))
async def test_a_late_reader_reads_the_same(after: int) -> None:
    log = RunLog("r")
    log.append(*[said(str(number)) for number in range(3)])
    log.append(said("3"), END)
    with log.reader() as first, log.reader(after) as late:
        everything = list(await first.read())
        assert list(await late.read()) == everything[after:]


async def test_a_reader_from_the_future_waits_until_then() -> None:
    log = RunLog("r")
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
        RunLog("r").reader(-1)


async def test_a_run_without_viewers_does_not_wait() -> None:
    log = RunLog("r", max_ahead_bytes=10)
    log.append(said("x" * 100))
    await asyncio.wait_for(log.room(), 0.5)


async def _is_waiting(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_a_producer_waits_while_every_viewer_is_behind() -> None:
    log = RunLog("r", max_ahead_bytes=1_000)
    with log.reader() as fast, log.reader() as slow:
        log.append(said("x" * 2_000))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
        await fast.read()  # one that keeps up is enough
        await asyncio.wait_for(room, 0.5)
        await slow.read()


async def test_arguments_count_as_well() -> None:
    log = RunLog("r", max_ahead_bytes=1_000)
    with log.reader():
        log.append(Action("A", "t", "x" * 2_000, "c"))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
    await asyncio.wait_for(room, 0.5)


async def test_all_who_wait_for_room_are_let_go_when_a_viewer_moves() -> None:
    """Two agents may speak at once."""
    log = RunLog("r", max_ahead_bytes=1_000)
    with log.reader() as reader:
        log.append(said("x" * 2_000))
        rooms = [asyncio.create_task(log.room()) for _ in range(3)]
        assert await _is_waiting(rooms[0])
        rooms[1].cancel()  # one who gives up takes nobody along
        await asyncio.wait((rooms[1],))
        await reader.read()
        await asyncio.wait_for(asyncio.gather(rooms[0], rooms[2]), 0.5)


async def test_a_viewer_that_leaves_does_not_hold_the_run() -> None:
    log = RunLog("r", max_ahead_bytes=1_000)
    with log.reader():
        log.append(said("x" * 2_000))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
        assert log.viewers == 1
    await asyncio.wait_for(room, 0.5)
    assert log.viewers == 0


async def test_a_viewer_that_begins_at_the_end_is_not_behind() -> None:
    """It waits for the producer: would that wait for it, too, nothing would ever move."""
    log = RunLog("r", max_ahead_bytes=1_000)
    log.append(said("x" * 5_000))
    with log.reader(1):
        await asyncio.wait_for(log.room(), 0.5)


async def test_viewers_may_leave_all_at_once() -> None:
    log = RunLog("r", max_ahead_bytes=1_000)
    with log.reader(), log.reader():
        log.append(said("x" * 2_000))
        room = asyncio.create_task(log.room())
        assert await _is_waiting(room)
    await asyncio.wait_for(room, 0.5)


class Logs(RuleBasedStateMachine):
    """One log, any number of readers: each has read exactly what was said behind its start, up to where it is."""

    readers: Bundle[int] = Bundle("readers")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()

    @initialize()
    def begin(self) -> None:
        self.log = RunLog("r", max_ahead_bytes=1_000)
        self.said: list[object] = []
        self.open: dict[int, tuple[Reader, int, list[Entry]]] = {}
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
        assert [entry.event for entry in self.log.since(0)] == self.said
        for reader, after, entries in self.open.values():
            assert [entry.seq for entry in entries] == list(range(after + 1, after + 1 + len(entries)))
            assert [entry.event for entry in entries] == self.said[after : after + len(entries)]
            assert not reader.at_end or self.ended
        assert self.log.viewers == len(self.open)

    def teardown(self) -> None:
        self.loop.close()


TestLogs = Logs.TestCase
TestLogs.settings = settings(max_examples=40, stateful_step_count=25)
