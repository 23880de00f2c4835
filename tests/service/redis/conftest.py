from collections.abc import Iterator

import pytest

from tests.kit.redis import RedisServer, running_redis


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """For a test that stops it, fills it, or changes what its users may do."""
    with running_redis() as redis:
        yield redis
