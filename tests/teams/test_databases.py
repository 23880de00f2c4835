"""The config's databases, or the demo shop. A database that cannot be opened is reported in one line."""

from pathlib import Path

import pytest

from aiostream_server.config.model import Config, DatabaseConfig
from aiostream_server.errors import ConfigError
from aiostream_server.teams.databases import open_databases


async def test_the_demo_shop_is_built_where_none_is_configured(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_databases(Config(), tmp_path / "state") as databases:
            assert list(databases) == ["shop"]
            assert "regions" in [table.name for table in (await databases["shop"].schema()).tables]


async def test_configured_databases_are_opened_instead(tmp_path: Path) -> None:
    async with open_databases(Config(), tmp_path):
        pass
    config = Config(database={"sales": DatabaseConfig(url=f"sqlite:///{tmp_path / 'shop.sqlite3'}")})
    async with open_databases(config, tmp_path / "unused") as databases:
        assert list(databases) == ["sales"]
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("url", ["sqlite:////no/such/file.db", "postgresql://127.0.0.1:9/x"])
async def test_an_unreachable_database_is_a_mistake_of_the_config(tmp_path: Path, url: str) -> None:
    config = Config(database={"sales": DatabaseConfig(url=url)})
    with pytest.raises(ConfigError, match=r"^\[database.sales\] the database 'sales' cannot be reached"):
        async with open_databases(config, tmp_path):
            pass


async def test_a_state_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="the demo shop cannot be built"):
        async with open_databases(Config(), tmp_path / "file" / "state"):
            pass
    (tmp_path / "shop.sqlite3").write_text("something else")
    with pytest.raises(ConfigError, match="is not a demo shop"):
        async with open_databases(Config(), tmp_path):
            pass
