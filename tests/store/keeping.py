"""A process that keeps turns of several conversations at once, and prints the number of each that was kept.

python -m tests.store.keeping URL NAME FIRST
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.conversations import Address, Conversations, TeamMemory, open_conversations

AT_ONCE = 8


def address(name: str, number: int) -> Address:
    """Three turns of a process, one after the other, share an address, so that some rows take others' places."""
    return Address(name, "", f"chat {number % AT_ONCE}, {number // AT_ONCE // 3}")


def memory(number: int) -> TeamMemory:
    """Some kilobytes that say which one it is, in a row of several pages."""
    text = " ".join(str(number * factor) for factor in range(4000)).encode()
    return TeamMemory("general", f"question {number}", (f"answer {number}",), text, b"[]")


async def _keep_on(store: Conversations, name: str, first: int) -> None:
    for number in count(first, AT_ONCE):
        await store.keep(address(name, number), memory(number))
        print(number, flush=True)


async def keep_on(url: str, name: str, first: int) -> None:
    async with open_conversations(ConversationsConfig(url=url), Path("/nowhere")) as store:
        print("migrated" if "alembic" in sys.modules else "ready", flush=True)
        await asyncio.gather(*(_keep_on(store, name, first + number) for number in range(AT_ONCE)))


def _forget_alembic() -> None:
    """The fork server has imported it, as a process does that migrates: here it tells which one did."""
    for name in [each for each in sys.modules if each.partition(".")[0] == "alembic"]:
        del sys.modules[name]


if __name__ == "__main__":
    _forget_alembic()
    asyncio.run(keep_on(sys.argv[1], sys.argv[2], int(sys.argv[3])))
