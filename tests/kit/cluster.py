"""Servers in the test's own loop that share runs in one Redis."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiostream_server.config.model import ConversationsConfig, LimitsConfig, RunsConfig
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, config_for, sample_team, serving

LEASE_S = 0.5
"""The shortest there is, so that tests of failed processes take no longer than they must."""
_OWN_LEASE_S = 4.0  # half of it is how long a renewal may take before it is an outage; none of these servers fails


def shared_in(url: str, prefix: str, **settings: Any) -> RunsConfig:
    settings.setdefault("lease_s", _OWN_LEASE_S)
    return RunsConfig(store="redis", redis_url=url, prefix=prefix, **settings)


@asynccontextmanager
async def cluster(
    runs: RunsConfig,
    folder: Path,
    *answers: ScriptedAnswer,
    count: int = 2,
    team: dict[str, Any] | None = None,
    conversations: ConversationsConfig | None = None,
    **limits: Any,
) -> AsyncIterator[list[Server]]:
    """Servers of one agent, `solo`, and what its model says; each has a state directory of its own."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(ScriptedProvider())
        provider.script(*answers)
        config = config_for(
            provider.base_url,
            sample_team("solo", **(team or {})),
            limits=LimitsConfig(**limits),
            runs=runs,
            conversations=conversations or ConversationsConfig(),
        )
        servers = []
        for number in range(count):
            (state := folder / str(number)).mkdir(exist_ok=True)
            servers.append(await stack.enter_async_context(serving(config, state)))
        yield servers
