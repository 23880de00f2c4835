"""The two real databases that the tools are tested on: the same shop in SQLite and in PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.shop import build_shop
from tests.tools.opening import opened


@pytest.fixture(scope="session")
def shop_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    build_shop(path)
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def shop_url(request: pytest.FixtureRequest, shop_path: Path) -> str:
    """The shop's URL, as a user would write it, once per kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{shop_path}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest_asyncio.fixture
async def shop(shop_url: str) -> AsyncIterator[Database]:
    async with opened(shop_url, "shop") as database:
        yield database
