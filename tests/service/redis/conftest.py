from collections.abc import AsyncIterator, Iterator

import pytest

from tests.kit.redis import RedisServer, running_redis
from tests.kit.scripted_provider import ScriptedProvider


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """For a test that stops it, fills it, or changes what its users may do."""
    with running_redis() as redis:
        yield redis
