"""What a service manager does, by hand: it hears what servers tell it, and hands them listening sockets."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.forkserver import fork
from tests.kit.process import Process, ServerProcess, environment
from tests.kit.waiting import DEADLINE_S

Message = Mapping[str, str]


@dataclass(slots=True)
class Manager:
    """A real datagram socket, as systemd has it: the kernel tells the sender's pid. `address` as in `NOTIFY_SOCKET`."""

    address: str
    hearing: socket.socket
    heard: list[Message] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)

    def hear(self) -> Message:
        """The next message, which must be there already."""
        data, ancillary, _, _ = self.hearing.recvmsg(4096, socket.CMSG_SPACE(12))
        self.pids.add(struct.unpack("3i", ancillary[0][2])[0])
        pairs = (line.partition("=") for line in data.decode().split("\n"))
        self.heard.append({key: value for key, _, value in pairs})
        return self.heard[-1]

    async def next(self, within_s: float = DEADLINE_S) -> Message:
        loop, there = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.hearing, there.set)
        try:
            async with asyncio.timeout(within_s):
                await there.wait()
        finally:
            loop.remove_reader(self.hearing)
        return self.hear()

    async def until(self, is_it: Callable[[Message], object], within_s: float = DEADLINE_S) -> Message:
        async with asyncio.timeout(within_s):
            while not is_it(message := await self.next(within_s)):
                pass
        return message

    def hear_all(self) -> list[Message]:
        """What is there."""
        messages = []
        while True:
            try:
                messages.append(self.hear())
            except BlockingIOError:
                return messages


@contextmanager
def manager(address: str) -> Iterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        hearing.bind("\0" + address[1:] if address.startswith("@") else address)
        hearing.setblocking(False)
        yield Manager(address, hearing)


async def launch(
    arguments: Sequence[str], sockets: Sequence[socket.socket], state_directory: Path, **extra: str
) -> Process:
    """`aiostream-server ARGUMENTS` with those sockets, as a service manager starts it."""
    return await fork(
        ("-m", "aiostream_server", *arguments),
        environment(state_directory, **extra),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        listening=[each.fileno() for each in sockets],
    )


@asynccontextmanager
async def activated(
    config: str, folder: Path, sockets: Sequence[socket.socket], **extra: str
) -> AsyncIterator[ServerProcess]:
    """A server on those sockets, ready; killed at the end of the block if it still runs."""
    path = folder / "server.toml"
    path.write_text(config, "utf-8")
    process = await launch(("serve", "--config", str(path)), sockets, folder, **extra)
    server = ServerProcess(process)
    try:
        await server.until_ready()
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await server.end()
