"""One box for all tests here, and in it one server, with a key."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.systemd import box


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "LEADER" in os.environ and "MERGED" in os.environ:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs a booted systemd: scripts/dev/test-systemd"))


@pytest.fixture(scope="session")
def key() -> str:
    """Made before the first start; the listener and the device are for probes."""
    text = box.create_key("box")
    box.run("sh", "-c", "echo others >/tmp/of-others && mknod -m 666 /dev/box-zero c 1 5")
    box.run("ip", "address", "add", "198.51.100.1/24", "dev", "lo")
    box.run("systemctl", "start", "aiostream-server.socket")
    return text


@pytest.fixture
async def session(key: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the running server."""
    await box.systemctl("start", box.SERVICE)
    async with box.client(key) as session:
        yield session
