"""`aiostream-server check`: load everything that `serve` would load, and report every mistake at once."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import click

from aiostream_server.cli.options import config_option, find_modules_beside
from aiostream_server.config.environment import state_directory
from aiostream_server.config.load import load_config, load_sound_tables
from aiostream_server.config.model import (
    CodeToolConfig,
    Config,
    HttpToolConfig,
    LangChainToolConfig,
    LlamaCppModelConfig,
    McpToolConfig,
    ModelConfig,
    OpenAIModelConfig,
    PythonToolConfig,
    ToolConfig,
)
from aiostream_server.config.problem_text import install_hint
from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import KeyRing
from aiostream_server.intake.loopback import bind_problem
from aiostream_server.service.slow_imports import telling_slow_imports
from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.workers import NOT_SHARED
from aiostream_server.tools.chart import can_draw

_T = TypeVar("_T")

FindProblems: TypeAlias = Callable[[Config], Coroutine[None, None, list[str]]]


@click.command()
@config_option
@click.option("--no-tools", is_flag=True, help="Not whether tools can be reached: a server starts without them.")
def check(config_path: Path | None, no_tools: bool) -> None:
    """Load everything and report every mistake at once; status 1 where there is one."""
    from aiostream_server.service.config_check import find_problems, find_wrong_sources  # loads the agents' libraries

    find_modules_beside(config_path)
    noted: list[str] = []
    find = partial(find_problems, state_directory=state_directory(os.environ), uses_tools=not no_tools, notes=noted)
    with telling_slow_imports(_tell_slow):
        lines = report(config_path, os.environ, find, find_wrong_sources, noted)
    for line in lines:
        click.echo(line)


def _tell_slow(place: str, waited_s: float) -> None:
    click.echo(f"after {waited_s:.0f} s still importing: {place}", err=True)


def report(
    path: Path | None,
    environ: Mapping[str, str],
    find_problems: FindProblems,
    find_in_sound: Callable[[Config], Sequence[str]] | None = None,
    noted: Sequence[str] = (),
) -> list[str]:
    """Return one line for each thing that was loaded. Raises `ConfigError` with every mistake.

    `find_problems` builds the teams, opens the databases, and adds to `noted`. If the file itself has mistakes,
    `find_in_sound` is given the tables that have none, so that their mistakes are reported at the same time."""
    try:
        config = load_config(path, environ)
    except ConfigError as exc:
        sound = load_sound_tables(path, environ)
        more = () if sound is None or find_in_sound is None else find_in_sound(sound)
        raise ConfigError([*exc.problems, *more]) from exc
    problems: list[str] = []
    ring = _tried(lambda: KeyRing.load(config.auth.keys_file), problems)
    if ring is not None and (problem := bind_problem(config.server.host, ring)):
        problems.append(problem)
    certificate = _tried(lambda: Certificate.of(config.server), problems)
    problems += _tried(lambda: asyncio.run(find_problems(config)), problems) or ()
    if problems:
        raise ConfigError(problems)
    notes = [*_notes(config, certificate), *noted]
    return [*_loaded(path, config, ring, certificate), *(f"note      {note}" for note in notes), "ok"]


def _notes(config: Config, certificate: Certificate | None) -> Iterator[str]:
    yield from config.notes
    if certificate is not None and (note := certificate.expiry_note(datetime.now(UTC))):
        yield note
    if not can_draw():
        yield f"no team can draw charts: {install_hint('charts')}"
    if config.server.workers > 1 and not config.runs.is_shared:
        yield f"{config.server.workers} workers do not share runs: {NOT_SHARED}"


def _tried(load: Callable[[], _T], problems: list[str]) -> _T | None:
    try:
        return load()
    except ConfigError as exc:
        problems += exc.problems
        return None


def _loaded(path: Path | None, config: Config, ring: KeyRing | None, certificate: Certificate | None) -> Iterator[str]:
    yield f"config    {path or 'none: the defaults'}"
    yield f"server    {config.server.host}, port {config.server.port}"
    if certificate is not None:
        yield f"tls       {config.server.tls_certificate}, until {certificate.expires_at:%Y-%m-%d}"
    yield f"keys      {len(ring)} in {config.auth.keys_file}" if ring else "keys      none: for this machine only"
    for name, model in config.models.items():
        yield f"model     {name}: {_described(model)}"
    yield f"routing   {config.routing.strategy}"
    for name, database in config.database.items():
        yield f"database  {name}: at most {database.row_limit} rows, {database.statement_timeout_s:g} s a statement"
    if not config.database:
        yield "database  none: the demo shop"
    for name, tool in config.tools.items():
        yield f"tool      {name}: {_described_tool(tool)}"
    for team in config.teams:
        yield f"team      {team.id}: {team.factory or team.component}"
    if config.team_folders:
        yield from _in_folders(config)
    elif not config.teams:
        yield "team      none: the two built-in teams"


def _in_folders(config: Config) -> Iterator[str]:
    from aiostream_server.teams.served import served_teams  # loads the agents' libraries

    for team in served_teams(config).teams:
        if team.factory is not None:
            yield f"team      {team.config.id}: {team.source}"


def _described_tool(tool: ToolConfig) -> str:
    match tool:
        case McpToolConfig():
            each = "one for all runs" if tool.scope == "shared" else "one for each run"
            return f"mcp {tool.command or tool.url}, {each}"
        case CodeToolConfig():
            return f"code, {tool.executor}"
        case HttpToolConfig():
            return f"http {tool.method} {tool.url}"
        case PythonToolConfig() | LangChainToolConfig():
            return f"{tool.kind} {tool.factory}"
        case _:
            return tool.kind


def _described(model: ModelConfig) -> str:
    match model:
        case OpenAIModelConfig():
            return f"{model.provider} {model.model}"
        case LlamaCppModelConfig():
            return f"{model.provider} {model.path}, started by the first question"
        case _:
            return model.provider
