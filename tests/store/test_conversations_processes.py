"""Several processes, and processes that are killed: what `keep` returned for is there."""

import asyncio
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, text

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.conversations import Conversations, open_conversations
from tests.kit.forkserver import fork
from tests.store.conftest import in_database
from tests.store.keeping import AT_ONCE, address, memory

ROUNDS = 2


@dataclass(slots=True)
class Writer:
    """A process that keeps until it is killed, and the numbers that it said it had kept, from its first life on.

    Several turns are in each transaction, and it is killed in the middle of one.
    """

    name: str
    url: str
    kept: list[int] = field(default_factory=list)
    greetings: list[bytes] = field(default_factory=list)

    async def live(self) -> None:
        """Start, keep something, and be killed at whatever moment."""
        first = (max(self.kept) // AT_ONCE // 3 + 1) * AT_ONCE * 3 if self.kept else 0
        command = ("-m", "tests.store.keeping", self.url, self.name, str(first))
        child = await fork(command, os.environ, stdout=asyncio.subprocess.PIPE, stderr=2)
        assert child.stdout is not None
        try:
            self.greetings.append((await child.stdout.readline()).strip())
            self.kept.append(int(await child.stdout.readline()))
            await asyncio.sleep(random.uniform(0.0, 0.2))
        finally:
            child.kill()
        self.kept += [int(line) async for line in child.stdout if line.endswith(b"\n")]
        assert await child.wait() == -9


async def missing(store: Conversations, name: str, numbers: Iterable[int]) -> list[int]:
    """Which of these numbers are not there, whole."""
    found = {
        (kept.fingerprint, kept.state)
        for chat in {address(name, number) for number in numbers}
        for kept in await store.recall(chat)
    }
    return [number for number in numbers if (memory(number).fingerprint, memory(number).state) not in found]


def _integrity(connection: Connection) -> Sequence[str]:
    return connection.execute(text("PRAGMA integrity_check")).scalars().all()


async def test_two_that_write_at_once_and_are_killed_have_kept_what_they_said(bare_url: str) -> None:
    """From an empty database on, which both want to migrate. What a killed process leaves behind blocks no other."""
    writers = [Writer("one", bare_url), Writer("two", bare_url)]
    for _ in range(ROUNDS):
        await asyncio.gather(*(writer.live() for writer in writers))
        async with open_conversations(ConversationsConfig(url=bare_url), Path("/nowhere")) as store:
            for writer in writers:
                assert len(writer.kept) == len({*writer.kept}) > 0
                assert await missing(store, writer.name, writer.kept) == []
            if bare_url.startswith("sqlite"):
                assert await in_database(bare_url, _integrity) == ["ok"]
    for writer in writers:
        assert writer.greetings[1:] == [b"ready"] * (ROUNDS - 1)
    assert b"migrated" in {writer.greetings[0] for writer in writers}
