"""How the server's event loop ends."""

import asyncio
import gc

from aiostream_server.service.steady_loop import run_to_its_end


def test_tasks_that_are_left_are_cancelled_frozen_ones_as_well() -> None:
    """And `asyncio.all_tasks()` finds none of them meanwhile."""
    ended: list[str] = []

    async def left(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def serving() -> None:
        frozen = asyncio.create_task(left("frozen"))
        await asyncio.sleep(0)
        gc.freeze()
        fresh = asyncio.create_task(left("fresh"))
        await asyncio.sleep(0)
        assert {frozen, fresh}.isdisjoint(asyncio.all_tasks())

    run_to_its_end(serving())
    assert sorted(ended) == ["fresh", "frozen"]
