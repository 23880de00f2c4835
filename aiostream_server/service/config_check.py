"""Finds mistakes that show only when a configuration is used: factories that fail, databases that are missing.

Teams are built in the event loop, as they are for every run. Slow work is done by the given `Offload`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TypeVar

from aiostream_server.config.model import Config
from aiostream_server.config.problem_text import redis_problem, toml_key
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import Models, open_models
from aiostream_server.service.generation import Offload, inline
from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.tracing import Traces
from aiostream_server.teams.autogen_private.client_tools import callers_in
from aiostream_server.teams.autogen_private.team_facts import agent_names, names_are_complete
from aiostream_server.teams.catalogue import check_source, for_each_team, load_team
from aiostream_server.teams.databases import open_databases
from aiostream_server.teams.factories import blamed_in, method_problem
from aiostream_server.teams.served import ServedTeam
from aiostream_server.teams.shape import TeamShape, names_in, shape_of
from aiostream_server.teams.tools.toolbox import Toolbox, open_tools
from aiostream_server.tools.sql.database import Database

_T = TypeVar("_T")


def find_wrong_sources(config: Config) -> list[str]:
    """Import every factory and read every component, but open and build nothing. One line per mistake."""
    try:
        for_each_team(config, check_source)
    except ConfigError as exc:
        return list(exc.problems)
    return []


def find_restart_problems(wanted: Config, running: Config) -> list[str]:
    """What a restart would fail for, in the settings that a reload leaves as they are."""
    problems: list[str] = []
    if wanted.runs.is_shared and (problem := redis_problem()):
        problems.append(problem)
    try:
        Traces.of(wanted.tracing)
        if _tls_files(wanted) != _tls_files(running):  # of the same ones the content is read again
            Certificate.of(wanted.server)
    except ConfigError as exc:
        problems += exc.problems
    return problems


def _tls_files(config: Config) -> tuple[Path | None, Path | None]:
    return config.server.tls_certificate, config.server.tls_key


async def find_problems(
    config: Config,
    *,
    state_directory: Path,
    offload: Offload = inline,
    uses_tools: bool = False,
    notes: list[str] | None = None,
) -> list[str]:
    """Open every model and database, import every factory, build every team once. One line per mistake.

    `uses_tools`: tools that cannot be reached are mistakes, too, and so is the Redis that runs are shared in; a server
    starts without the tools, and a reload does not open Redis anew. A team is not built if a model, a database or one
    of its tools is missing: its factory would fail for that. `notes` gets a line for what may be intended.
    """
    problems = [*_tracing_problems(config), *await _redis_problems(config, opens=uses_tools)]
    in_threads = offload is not inline
    async with AsyncExitStack() as stack:
        for_components = any(team.component for team in config.teams)
        opening_models = open_models(config.models, in_threads=in_threads, for_components=for_components)
        models = await _open(stack, opening_models, problems)
        databases = await _open(stack, open_databases(config, state_directory), problems)
        if databases is not None and notes is not None and config.database:
            notes += [f"[database.{name}] {await each.summary()}" for name, each in databases.items()]
        sound = await _sound_teams(config, offload, problems)
        if models is None or databases is None:
            return problems
        wrong_tools: list[str] = []
        opening_tools = open_tools(config, databases, state_directory, in_threads=in_threads, problems=wrong_tools)
        toolbox = await stack.enter_async_context(opening_tools)
        missing = config.tools.keys() - {*toolbox.names}
        for team in sound:
            if missing.isdisjoint(team.config.tools):
                problems += await _build(team, models, databases, toolbox, offload, [] if notes is None else notes)
        problems += wrong_tools
        if uses_tools:
            problems += await toolbox.problems()
            if notes is not None:
                notes += toolbox.notes
    return problems


def _tracing_problems(config: Config) -> Sequence[str]:
    try:
        Traces.of(config.tracing)
    except ConfigError as exc:
        return exc.problems
    return ()


async def _sound_teams(config: Config, offload: Offload, problems: list[str]) -> Sequence[ServedTeam]:
    """The teams that can be imported or read. What is wrong with the others is added to `problems`."""
    sound: list[ServedTeam] = []

    def check(team: ServedTeam) -> None:
        check_source(team)
        sound.append(team)

    try:
        await offload(for_each_team, config, check)
    except ConfigError as exc:
        problems += exc.problems
    return sound


async def _redis_problems(config: Config, *, opens: bool) -> Sequence[str]:
    if not config.runs.is_shared:
        return ()
    if problem := redis_problem():
        return (problem,)
    if not opens:
        return ()
    from aiostream_server.log.redis.connection import open_redis

    try:
        async with open_redis(config.runs, must_answer=True):
            return ()
    except ConfigError as exc:
        return exc.problems


async def _open(stack: AsyncExitStack, opening: AbstractAsyncContextManager[_T], problems: list[str]) -> _T | None:
    try:
        return await stack.enter_async_context(opening)
    except ConfigError as exc:
        problems += exc.problems
        return None


async def _build(
    team: ServedTeam,
    models: Models,
    databases: Mapping[str, Database],
    toolbox: Toolbox,
    offload: Offload,
    notes: list[str],
) -> list[str]:
    try:
        spec = await offload(load_team, team, models, databases, toolbox)
    except ConfigError as exc:
        return [f"{team.where} {problem}" for problem in exc.problems]
    is_about_agents = team.config.answer_from or team.config.roles or team.config.client_tools
    if team.config.component is not None and not is_about_agents:  # `load_team` has built one
        return []
    scope = spec.toolbox.scope()
    try:
        built = await spec.build(scope)
    except Exception as exc:  # a factory may raise anything
        return [f"{team.where} the team cannot be built: {blamed_in(spec.factory, exc)}"]
    finally:
        await scope.close()
    if problem := method_problem(built, spec.factory):
        return [f"{team.where} {problem}"]
    notes += _unknown_agents(team, built)
    shape = shape_of(built)
    if isinstance(shape, TeamShape) and not shape.ends and shape.order != "graph":
        notes.append(f"{team.where} never ends by itself: give the {shape.kind} a termination_condition or max_turns")
    if team.config.client_tools and not callers_in(built, spec.config.answer_from):
        notes.append(f"{team.where} client_tools: none of its agents can call the client's tools")
    return []


def _unknown_agents(team: ServedTeam, built: object) -> Iterator[str]:
    """A line for each agent that the configuration names and the team does not have, if the team shows its agents."""
    if not names_are_complete(built):
        return
    agents, speakers = agent_names(built), {*names_in(shape_of(built))}
    for key, named in (("answer_from", team.config.answer_from), ("roles", tuple(team.config.roles))):
        for name in named:
            if name not in agents and name not in speakers:
                known = ", ".join(sorted(agents))
                yield f"{team.where} {key}: no agent is called {toml_key(name)}; there are: {known}"
