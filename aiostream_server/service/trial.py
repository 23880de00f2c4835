"""A server for one person and one moment: on this machine, with a key that nobody else knows, and no memory behind it.

It is the server itself, so that a team behaves in a trial as it will when it is served. And a look at a team that is
not even run.
"""

import re
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from aiostream_server.config.model import (
    AuthConfig,
    Config,
    ConversationsConfig,
    DatabaseConfig,
    RoutingConfig,
    ServerConfig,
    SqlToolConfig,
)
from aiostream_server.config.pointers import UNREAD_DATABASE
from aiostream_server.errors import ConfigError
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from aiostream_server.service.composition import GENERATIONS, compose, open_generations
from aiostream_server.store.files import stored_in
from aiostream_server.teams.factories import blamed_in
from aiostream_server.teams.shape import Shape, shape_of

_HOST: Final = "127.0.0.1"
_NO_FILE_NAME: Final = re.compile(r"[/\\]|\A\.+")


@dataclass(frozen=True, slots=True)
class Trial:
    """Where it is, what lets one in, and the ids of the teams that are there."""

    url: str
    key: str = field(repr=False)
    teams: Sequence[str]


@asynccontextmanager
async def trial_server(config: Config, folder: Path) -> AsyncIterator[Trial]:
    """`folder` is empty, and of no use afterwards. What still runs at the end is ended. Raises `ConfigError`."""
    key, text = new_key("trial")
    keys_file = folder / "keys.json"
    add_key(keys_file, key)
    alone = {
        "server": ServerConfig(host=_HOST, max_body_bytes=config.server.max_body_bytes),
        "auth": AuthConfig(keys_file=keys_file),
        "conversations": ConversationsConfig(max_state_bytes=config.conversations.max_state_bytes),
    }
    app = compose(config.model_copy(update=alone), state_directory=folder)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.0)
    with socket.create_server((_HOST, 0)) as listening:
        try:
            await runner.setup()
            await web.SockSite(runner, listening).start()
            teams = [spec.id for spec in app[GENERATIONS].current.state.catalogue]
            yield Trial(f"http://{_HOST}:{listening.getsockname()[1]}", text.get_secret_value(), teams)
        finally:
            await runner.cleanup()


def keep_files(folder: Path) -> Sequence[Path]:
    """What the runs of a server that was here left for their reader, in a folder that stays; `folder` as above."""
    kept: list[Path] = []
    for file, path in stored_in(folder):
        into = kept[0].parent if kept else Path(tempfile.mkdtemp(prefix="aiostream-files-"))
        name = _NO_FILE_NAME.sub("_", file.file_name)
        kept.append(into / (f"{len(kept) + 1} {name}" if (into / name).exists() else name))
        shutil.copyfile(path, kept[-1])
    return kept


def only(config: Config, team_id: str) -> Config:
    """The configuration with that team alone, where it is one of `[[teams]]`: the others may be broken."""
    found = [team for team in config.teams if team.id == team_id]
    if not found:
        return config
    tools = {name: table for name, table in config.tools.items() if name in found[0].tools}
    asked = {table.database for table in tools.values() if isinstance(table, SqlToolConfig)}
    named = {*found[0].databases, *(asked - {None})} if found[0].databases and None not in asked else {*config.database}
    databases = {name: table for name, table in config.database.items() if name in named}
    alone = {"teams": tuple(found), "team_folders": (), "database": databases, "tools": tools}
    return config.model_copy(update={**alone, "routing": RoutingConfig()})


def no_team(team_id: str, there_are: Sequence[str], *, has_file: bool) -> str:
    """Which there are."""
    why = "" if has_file else " (no --config was given: these are the built-in teams)"
    return f"there is no team {team_id!r}; there are: {', '.join(there_are)}{why}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A team as it was built once."""

    id: str
    name: str
    description: str
    shape: Shape


async def see(config: Config, folder: Path, team_id: str, *, has_file: bool = True) -> Seen:
    """Build a team, without running it. `folder` as above; no key and no conversation is looked at. Raises
    `ConfigError`; where the configuration was read from no file, that says so."""
    databases = {name: _readable(table, folder) for name, table in config.database.items()}
    alone = {"auth": AuthConfig(), "conversations": ConversationsConfig(), "database": databases}
    async with open_generations(config.model_copy(update=alone), folder) as generations:
        catalogue = generations.current.state.catalogue
        if (spec := catalogue.get(team_id)) is None:
            raise ConfigError([no_team(team_id, [each.id for each in catalogue], has_file=has_file)])
        scope = spec.toolbox.scope()
        try:
            shape = shape_of(await spec.build(scope))
        except Exception as exc:  # whatever somebody's factory raises
            raise ConfigError([f"{team_id}: the team cannot be built: {blamed_in(spec.factory, exc)}"]) from exc
        finally:
            await scope.close()
        return Seen(spec.id, spec.name, spec.config.description, shape)


def _readable(table: DatabaseConfig, folder: Path) -> DatabaseConfig:
    """In place of a database whose URL was not read, an empty one."""
    if table.resolved_url.get_secret_value() != UNREAD_DATABASE:
        return table
    (empty := folder / "unread.sqlite3").touch()
    return DatabaseConfig(url=f"sqlite:///{empty}", description=table.description)
