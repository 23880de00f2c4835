"""The log in memory: bounded in memory, and consistent after any order of calls (`test_log_contract` has the rest)."""

import asyncio
import tracemalloc
from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from aiostream_server.events import Dropped, Entry, Event, SpeechKind, Token
from aiostream_server.log.entries import Entries
from aiostream_server.log.memory import MemoryLog, MemoryReader
from aiostream_server.log.protocol import Reader
from tests.log.test_log_contract import END, said


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


def _continues(before: Event, event: Event) -> bool:
    if not isinstance(before, Token) or not isinstance(event, Token):
        return False
    return (before.agent, before.kind) == (event.agent, event.kind)


class Logs(RuleBasedStateMachine):
    """One log and any number of readers. Each has read all events from its start to its cursor, or was told exactly
    which of them were dropped."""

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

    @invariant()
    def condensed_leaves_out_tokens_that_continue_others(self) -> None:
        entries = self.log.since(0)
        pairs = zip([None, *entries], entries, strict=False)
        assert self.log.condensed() == [
            entry for before, entry in pairs if before is None or not _continues(before.event, entry.event)
        ]

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
    def every_reader_reads_the_same(self) -> None:
        if not hasattr(self, "log"):
            return
        self._check(0, self.log.since(0))
        assert self.log.size_bytes <= self.max_bytes or len(self.log._said) == 1
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
        """No gap and no repetition, except where a `Dropped` says so."""
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
