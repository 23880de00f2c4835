"""Turns of a conversation as the tests keep them: each appends its name to what was said before.

As a process: python -m tests.store.talking URL NAME COUNT adds the turns NAME0, NAME1 ... to one conversation.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.conversations import Address, Conversations, TeamMemory, open_conversations

TALK = Address("key", "user", "talk")


def turns_of(memory: TeamMemory | None) -> list[str]:
    return [] if memory is None else list(json.loads(memory.turns))


def said(turns: Sequence[str], *, waits_for: str | None = None) -> TeamMemory:
    fingerprint = " ".join(turns)
    return TeamMemory("general", fingerprint, (turns[-1],), b"{}", json.dumps(turns).encode(), waits_for)


async def say(store: Conversations, name: str, seen: TeamMemory | None, address: Address = TALK) -> None:
    """Keep a turn behind those that were `seen`, which may be older than the newest."""

    def merge(newest: TeamMemory) -> TeamMemory:
        return replace(said([*turns_of(newest), name]), state=b"")

    after = "" if seen is None else seen.version
    await store.keep(address, said([*turns_of(seen), name]), after=after, merge=merge)


async def _talk(url: str, name: str, count: int) -> None:
    async with open_conversations(ConversationsConfig(url=url), Path("/nowhere")) as store:
        for number in range(count):
            seen = await store.latest(TALK)
            await asyncio.sleep(0)
            await say(store, f"{name}{number}", seen)
            print(f"{name}{number}", flush=True)


if __name__ == "__main__":
    asyncio.run(_talk(sys.argv[1], sys.argv[2], int(sys.argv[3])))
