"""`OutputQueue` does what AutoGen's queue does, and loses nothing when a waiter is cancelled."""

import asyncio
from collections import deque
from dataclasses import dataclass

import pytest
from autogen_core import MessageContext, RoutedAgent, event
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.teams.autogen_private.runtime_agents import OutputQueue, search_handlers_once


@dataclass
class Heard:
    text: str


@dataclass
class Seen:
    text: str


@given(st.lists(st.one_of(st.just(None), st.integers(0, 9))))
def test_a_queue_returns_its_items_in_order(steps: list[int | None]) -> None:
    """Each number is put, each None takes one."""
    queue, model = OutputQueue[int](), deque[int]()
    for step in steps:
        if step is not None:
            queue.put_nowait(step)
            model.append(step)
        elif model:
            assert queue.get_nowait() == model.popleft()
        else:
            with pytest.raises(asyncio.QueueEmpty):
                queue.get_nowait()
        assert (queue.qsize(), queue.empty()) == (len(model), not model)


async def test_the_longest_waiting_reader_gets_the_oldest_item_and_a_cancelled_one_none() -> None:
    queue = OutputQueue[str]()
    first, second, third = (asyncio.ensure_future(queue.get()) for _ in range(3))
    second.cancel()
    await queue.put("one")
    await queue.put("two")
    await queue.put("three")
    assert (first.result(), second.cancelled(), third.result()) == ("one", True, "two")
    assert await queue.get() == "three"
    assert queue.empty()


async def test_a_reader_is_woken_and_may_be_cancelled_by_its_future() -> None:
    queue = OutputQueue[str]()

    async def read() -> str:
        return await queue.get()

    reading, other = asyncio.create_task(read()), asyncio.create_task(read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.sleep(0)
    queue.put_nowait("one")
    assert await other == "one"
    assert reading.cancelled()


async def test_a_class_searches_its_handlers_once_and_subclasses_their_own() -> None:
    looked: list[type] = []

    class Base(RoutedAgent):
        @event
        async def hear(self, message: Heard, ctx: MessageContext) -> None:
            """Hear."""

        @classmethod
        def _discover_handlers(cls):  # type: ignore[no-untyped-def]  # AutoGen's
            looked.append(cls)
            return super()._discover_handlers()

    class More(Base):
        @event
        async def see(self, message: Seen, ctx: MessageContext) -> None:
            """See."""

    for _ in range(2):
        search_handlers_once(Base)
    assert [set(Base("")._handlers) for _ in range(3)] == [{Heard}] * 3
    assert looked == [Base]
    assert [set(More("")._handlers) for _ in range(2)] == [{Heard, Seen}] * 2
    assert looked == [Base, More, More]
    assert [kind for kind, _ in Base._handles_types()] == [Heard]
    search_handlers_once(object)
    assert not hasattr(object, "_discover_handlers")
