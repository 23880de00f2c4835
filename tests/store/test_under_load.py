"""Keeping takes a moment while the event loop is busy, and nothing is lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.database import find_url, open_link
from aiostream_server.store.schema import memories
from tests.store.conftest import OpenStore
from tests.store.talking import TALK, say, turns_of

CONVERSATIONS, TURNS, CLIENTS = 24, 20, 8
LOOP_TURN_S = 0.02


@asynccontextmanager
async def busy_loop() -> AsyncIterator[None]:
    """Each turn of the event loop takes 20 ms."""

    async def block() -> None:
        while True:
            time.sleep(LOOP_TURN_S)  # noqa: ASYNC251 - blocks the event loop
            await asyncio.sleep(0)

    blocking = asyncio.create_task(block())
    try:
        yield
    finally:
        blocking.cancel()


def p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]


@asynccontextmanager
async def bare_transactions(url: str) -> AsyncIterator[list[float]]:
    """How long a plain thread takes, seen from the loop, for one transaction of four statements after the other."""
    thread, loop = ThreadPoolExecutor(1), asyncio.get_running_loop()
    link = await loop.run_in_executor(
        thread, lambda: open_link(find_url(ConversationsConfig(url=url), Path("/nowhere")), timeout_s=60.0)
    )
    took: list[float] = []

    def four_statements(connection: Connection) -> None:
        for _ in range(4):
            connection.execute(select(memories.c.id).limit(1)).all()

    async def ask_on() -> None:
        while True:
            began = time.monotonic()
            await loop.run_in_executor(thread, lambda: link.transact(four_statements))
            took.append(time.monotonic() - began)

    asking = asyncio.create_task(ask_on())
    try:
        yield took
    finally:
        asking.cancel()
        await asyncio.wait({asking})
        await loop.run_in_executor(thread, link.close)
        thread.shutdown()


@pytest.mark.alone
async def test_keeping_takes_a_moment_beside_tools_on_a_busy_loop(open_store: OpenStore, store_url: str) -> None:
    """24 conversations of 20 turns, beside 8 clients with tools in threads: none is lost, and 99 of 100 are kept within
    250 ms and two transactions of a bare thread: the one that is under way when a turn comes, and its own."""
    took: list[float] = []

    async def converse(number: int) -> None:
        address = TALK._replace(conversation=f"{number}")
        for turn in range(TURNS):
            seen = await store.latest(address)
            began = time.monotonic()
            await say(store, f"turn{turn}", seen, address)
            took.append(time.monotonic() - began)

    async def use_tools() -> None:
        while True:
            await asyncio.to_thread(time.sleep, 0.01)

    async with open_store() as store, bare_transactions(store_url) as bare:
        tools = [asyncio.create_task(use_tools()) for _ in range(CLIENTS)]
        async with busy_loop():
            await asyncio.gather(*map(converse, range(CONVERSATIONS)))
        for tool in tools:
            tool.cancel()
        for number in range(CONVERSATIONS):
            kept = turns_of(await store.latest(TALK._replace(conversation=f"{number}")))
            assert kept == [f"turn{turn}" for turn in range(TURNS)]
    print(f"keep p99 {p99(took) * 1000:.0f} ms, bare transaction p99 {p99(bare) * 1000:.0f} ms")
    assert p99(took) < 0.25 + 2 * p99(bare)


async def test_one_transaction_takes_all_turns_that_came_meanwhile(open_store: OpenStore) -> None:
    """A hundred at once take far less than a hundred times one."""
    async with open_store() as store:
        await say(store, "warm", None)
        alone: list[float] = []
        for number in range(20):
            began = time.monotonic()
            await say(store, "x", None, TALK._replace(conversation=f"alone {number}"))
            alone.append(time.monotonic() - began)
        together: list[float] = []
        for attempt in range(3):  # a busy machine may stop one of them in the middle
            began = time.monotonic()
            talks = (TALK._replace(conversation=f"{attempt} {number}") for number in range(100))
            await asyncio.gather(*(say(store, "x", None, talk) for talk in talks))
            together.append(time.monotonic() - began)
        assert min(together) < 50 * max(alone)
