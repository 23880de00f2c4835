"""One process's part in runs that are shared, without a server around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiostream_server.config.model import ConcurrentTurns, LimitsConfig
from aiostream_server.log.redis.scripts import Script
from aiostream_server.runs.shared.backend import SharedRuns, open_shared_runs
from tests.kit.cluster import shared_in

_NOTHING = Script.of("return 0")


@asynccontextmanager
async def sharing(
    url: str, prefix: str, limits: LimitsConfig | None = None, turns: ConcurrentTurns = "queue", **settings: Any
) -> AsyncIterator[SharedRuns]:
    async with open_shared_runs(shared_in(url, prefix, **settings), limits or LimitsConfig(), turns) as (shared, _):
        yield shared


async def settled(*nodes: SharedRuns) -> None:
    """Return when Redis has done what these were about to ask for, and its messages have arrived."""
    for _ in range(4):
        for node in nodes:
            await node.admission.settle()
            await node.connection.run(_NOTHING)
        for _ in range(5):
            await asyncio.sleep(0)
