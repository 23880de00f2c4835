"""One process's part in runs that are shared, without a server around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiostream_server.config.model import ConcurrentTurns, LimitsConfig
from aiostream_server.log.redis.scripts import Script
from tests.kit.cluster import shared_in

if TYPE_CHECKING:
    from aiostream_server.runs.shared.backend import SharedRuns

_NOTHING = Script.of("return 0")
_LEASE_S = 60.0  # half of it is how long a renewal may take on a busy machine before it is an outage


@asynccontextmanager
async def sharing(
    url: str, prefix: str, limits: LimitsConfig | None = None, turns: ConcurrentTurns = "queue", **settings: Any
) -> AsyncIterator["SharedRuns"]:
    settings.setdefault("lease_s", _LEASE_S)
    from aiostream_server.runs.shared.backend import open_shared_runs  # needs Redis' client: these tests may be skipped

    async with open_shared_runs(shared_in(url, prefix, **settings), limits or LimitsConfig(), turns) as (shared, _):
        yield shared


async def settled(*nodes: "SharedRuns") -> None:
    """Return when Redis has done what these were about to ask for, and its messages have arrived."""
    for _ in range(4):
        for node in nodes:
            await node.admission.calls.settle()
            await node.connection.run(_NOTHING)
        for _ in range(5):
            await asyncio.sleep(0)
