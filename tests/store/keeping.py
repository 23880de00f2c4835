"""A process that keeps one conversation after the other, and prints the number of each that was kept.

python -m tests.store.keeping URL NAME FIRST COUNT
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.conversations import Address, TeamMemory, open_conversations


def address(name: str, number: int) -> Address:
    """Three conversations of a process share an address, so that some rows take others' places."""
    return Address(name, "", f"chat {number // 3}")


def memory(number: int) -> TeamMemory:
    """Some kilobytes that say which one it is, in a row of several pages."""
    text = " ".join(str(number * factor) for factor in range(4000)).encode()
    return TeamMemory("general", f"question {number}", (f"answer {number}",), text, b"[]")


async def keep_on(url: str, name: str, first: int) -> None:
    async with open_conversations(ConversationsConfig(url=url), Path("/nowhere")) as store:
        print("migrated" if "alembic" in sys.modules else "ready", flush=True)
        for number in count(first):
            await store.keep(address(name, number), memory(number))
            print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(keep_on(sys.argv[1], sys.argv[2], int(sys.argv[3])))
