"""A stream that says nothing for too long is told so: once per interval of silence, and never while it speaks."""

import asyncio
import time

from aiostream_server.sse.heartbeat import Heartbeat


async def test_silence_wakes_once_in_each_interval() -> None:
    woken: list[float] = []
    enough = asyncio.Event()
    started = time.monotonic()

    def wake() -> None:
        woken.append(time.monotonic() - started)
        if len(woken) == 3:
            enough.set()

    with Heartbeat(0.05, wake) as heartbeat:
        await enough.wait()
        assert heartbeat.is_due
    gaps = [later - earlier for earlier, later in zip([0.0, *woken], woken, strict=False)]
    assert min(gaps) >= 0.05


async def test_a_touch_puts_it_off_by_an_interval() -> None:
    woken = asyncio.Event()
    with Heartbeat(0.2, woken.set) as heartbeat:
        await asyncio.sleep(0.1)
        touched_at = time.monotonic()
        heartbeat.touch()
        assert not heartbeat.is_due
        await woken.wait()
        assert time.monotonic() - touched_at >= 0.2


async def test_nothing_wakes_after_the_end() -> None:
    woken = asyncio.Event()
    with Heartbeat(0.01, woken.set):
        pass
    await asyncio.sleep(0.03)
    assert not woken.is_set()
