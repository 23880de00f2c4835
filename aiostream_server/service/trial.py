"""A temporary server that tries a team: on a loopback port, with a key of its own and an empty state directory.

It is the same server, so a team behaves in a trial as it does when it is served. `inspect_team` only builds a team.
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
    RunsConfig,
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
from aiostream_server.teams.shape import Shape

_HOST: Final = "127.0.0.1"
_NO_FILE_NAME: Final = re.compile(r"[/\\]|\A\.+")


@dataclass(frozen=True, slots=True)
class Trial:
    """A running trial server: its URL, its key and the ids of its teams."""

    url: str
    key: str = field(repr=False)
    teams: Sequence[str]


@asynccontextmanager
async def trial_server(config: Config, folder: Path) -> AsyncIterator[Trial]:
    """`folder` must be empty and may be deleted afterwards. Ends live runs at the end. Raises `ConfigError`."""
    key, text = new_key("trial")
    keys_file = folder / "keys.json"
    add_key(keys_file, key)
    alone = {
        "server": ServerConfig(host=_HOST, max_body_bytes=config.server.max_body_bytes),
        "auth": AuthConfig(keys_file=keys_file),
        "files": config.files.model_copy(update={"folder": None}),
        "runs": RunsConfig(),
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
    """Copy the files that the runs of a trial in `folder` have made to a folder that stays."""
    kept: list[Path] = []
    for file, path in stored_in(folder):
        into = kept[0].parent if kept else Path(tempfile.mkdtemp(prefix="aiostream-files-"))
        name = _NO_FILE_NAME.sub("_", file.file_name)
        kept.append(into / (f"{len(kept) + 1} {name}" if (into / name).exists() else name))
        shutil.copyfile(path, kept[-1])
    return kept


def with_one_team(config: Config, team_id: str) -> Config:
    """The configuration without the other `[[teams]]`, which may be broken. A team of another kind keeps all."""
    found = [team for team in config.teams if team.id == team_id]
    if not found:
        return config
    tools = {name: table for name, table in config.tools.items() if name in found[0].tools}
    asked = {table.database for table in tools.values() if isinstance(table, SqlToolConfig)}
    named = {*found[0].databases, *(asked - {None})} if found[0].databases and None not in asked else {*config.database}
    databases = {name: table for name, table in config.database.items() if name in named}
    alone = {"teams": tuple(found), "team_folders": (), "database": databases, "tools": tools}
    return config.model_copy(update={**alone, "routing": RoutingConfig()})


def unknown_team(team_id: str, there_are: Sequence[str], *, has_file: bool) -> str:
    """An error message that lists the teams."""
    why = "" if has_file else " (no --config was given: these are the built-in teams)"
    return f"there is no team {team_id!r}; there are: {', '.join(there_are)}{why}"


@dataclass(frozen=True, slots=True)
class InspectedTeam:
    """A team that was built once. `client_tools`: its answering agents call tools of the client."""

    id: str
    name: str
    description: str
    shape: Shape
    client_tools: bool


async def inspect_team(config: Config, folder: Path, team_id: str, *, has_file: bool = True) -> InspectedTeam:
    """Build a team without running it. Reads no keys and no conversations. Raises `ConfigError`.

    `folder` as for `trial_server`. `has_file`: the configuration was read from a file.
    """
    databases = {name: _readable(table, folder) for name, table in config.database.items()}
    alone = {"auth": AuthConfig(), "conversations": ConversationsConfig(), "database": databases}
    async with open_generations(config.model_copy(update=alone), folder) as generations:
        catalogue = generations.current.state.catalogue
        if (spec := catalogue.get(team_id)) is None:
            raise ConfigError([unknown_team(team_id, [each.id for each in catalogue], has_file=has_file)])
        try:
            shape = await spec.shape()
        except Exception as exc:  # raised by a user's own factory
            raise ConfigError([f"{team_id}: the team cannot be built: {blamed_in(spec.factory, exc)}"]) from exc
        return InspectedTeam(spec.id, spec.name, spec.config.description, shape, spec.config.client_tools)


def _readable(table: DatabaseConfig, folder: Path) -> DatabaseConfig:
    """An empty database in place of one without a URL that could be read."""
    if table.resolved_url.get_secret_value() != UNREAD_DATABASE:
        return table
    (empty := folder / "unread.sqlite3").touch()
    return DatabaseConfig(url=f"sqlite:///{empty}", description=table.description)
