"""Real processes of `aiostream-server serve` that share runs in one Redis."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.kit.cluster import LEASE_S
from tests.kit.process import ServerProcess, serving_process
from tests.kit.scripted_provider import ScriptedProvider


def sharing_toml(url: str, provider: ScriptedProvider, prefix: str = "t", **runs: Any) -> str:
    """A configuration with one agent, `solo`; `runs` are more keys of `[runs]`."""
    more = "\n".join(f"{key} = {value!r}".replace("'", '"') for key, value in {"lease_s": LEASE_S, **runs}.items())
    return f"""
[server]
port = 0
log_format = "json"
drain_s = 5.0
[runs]
store = "redis"
redis_url = "{url}"
prefix = "{prefix}"
{more}
[models.default]
provider = "openai"
model = "scripted"
base_url = "{provider.base_url}"
[[teams]]
id = "solo"
factory = "tests.kit.sample_teams:solo"
"""


@asynccontextmanager
async def processes(config: str, folder: Path, count: int = 2, **extra: str) -> AsyncIterator[list[ServerProcess]]:
    """Each has a state directory of its own."""
    async with AsyncExitStack() as stack:
        started = []
        for number in range(count):
            (state := folder / str(number)).mkdir()
            started.append(await stack.enter_async_context(serving_process(config, state, **extra)))
        yield started
