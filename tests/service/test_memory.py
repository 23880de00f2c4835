"""What a stream takes of the server's memory, with and without a client that reads, in a server of its own."""

import asyncio
import socket
from pathlib import Path
from typing import Final

from benchmarks.processes import Server, server
from benchmarks.soak.client import Stream, chat, inspect, open_never_reading, open_stream, provider, request
from benchmarks.soak.provider import Plan

_STREAMS: Final = 30
_MOST_BYTES: Final = 512 * 1024
_MOST_LIVE_BYTES: Final = 64 * 1024  # measured: 59
_LIVE_STREAMS: Final = 400
_AT_ONCE: Final = 20
_LONG_CHARS: Final = 1_000_000
_STEADY_BYTES: Final = 1024 * _STREAMS
_LOOK_S: Final = 0.5
_DEADLINE_S: Final = 60.0


async def never_reading(served: Server, size: int) -> list[socket.socket]:
    """Streams of tokens of `size` characters, as fast as the provider can, none of which is read."""
    asked = chat(Plan(tokens=1_000_000, size=size))
    return [await open_never_reading(served.port, asked) for _ in range(_STREAMS)]


async def until_steady(served: Server) -> int:
    """The largest memory until it does not change any more: all buffers are full."""
    found = [served.memory_bytes]
    async with asyncio.timeout(_DEADLINE_S):
        while len(found) < 6 or max(found[-4:]) - min(found[-4:]) > _STEADY_BYTES:
            await asyncio.sleep(_LOOK_S)
            found.append(served.memory_bytes)
    return max(found)


async def test_a_client_that_does_not_read_holds_half_a_mebibyte_at_most(tmp_path: Path) -> None:
    """All in all: the run, its log, and the buffers on both sides. The kernel's buffers of sockets are not in it."""
    settings: dict[str, object] = {"write_timeout_s": 60.0}
    async with provider() as provider_port, server(provider_port, tmp_path, server=settings) as served:
        clients: list[socket.socket] = []
        for size in (20, 8_000):
            await inspect(served)
            before = served.memory_bytes
            clients += await never_reading(served, size)
            each = (await until_steady(served) - before) / _STREAMS
            assert each <= _MOST_BYTES, f"{each / 1024:.0f} KiB with tokens of {size} characters"
        for client in clients:
            client.close()


async def test_a_live_stream_takes_little_memory(tmp_path: Path) -> None:
    """With its run, its team (a group chat) and its call of the model, after its first token."""
    plan = Plan(tokens=1_000, pause_s=60.0)
    async with provider() as provider_port, server(provider_port, tmp_path) as served:
        for stream in [await open_stream(served.port, Plan(tokens=3)) for _ in range(10)]:
            await stream.ended
        await inspect(served)
        before = served.memory_bytes
        streams = []
        for _ in range(_LIVE_STREAMS // _AT_ONCE):
            opened = [await open_stream(served.port, plan) for _ in range(_AT_ONCE)]
            for stream in opened:
                await stream.spoken
            streams += opened
        each = (served.memory_bytes - before) / _LIVE_STREAMS
        for stream in streams:
            stream.leave()
    print(f"{each / 1024:.0f} KiB for a live stream")
    assert each <= _MOST_LIVE_BYTES


async def test_a_live_stream_holds_its_conversation_once(tmp_path: Path) -> None:
    """As the messages of its team. The request that carried them to the model is let go once it is answered."""
    plan = Plan(tokens=1_000, pause_s=60.0)
    roles = ({"role": "user", "content": "x" * _LONG_CHARS}, {"role": "assistant", "content": "yes"})
    asked = {"model": "solo", "stream": True, "messages": [*roles, {"role": "user", "content": plan.question()}]}
    loop = asyncio.get_running_loop()
    async with provider() as provider_port, server(provider_port, tmp_path) as served:
        await inspect(served)
        before = served.memory_bytes
        streams: list[Stream] = []
        for _ in range(_STREAMS):
            _, stream = await loop.create_connection(
                lambda: Stream(request("/v1/chat/completions", asked)), "127.0.0.1", served.port
            )
            await stream.spoken
            streams.append(stream)
        each = (served.memory_bytes - before) / _STREAMS
        for stream in streams:
            stream.leave()
    print(f"{each / 1024:.0f} KiB for a live stream of a conversation of {_LONG_CHARS:,} characters")
    assert each <= 1.4 * _LONG_CHARS
