"""The catalogue: a model id -> a fresh team."""

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog

from aiostream_server.config.model import Config, TeamConfig
from aiostream_server.config.problem_text import did_you_mean, toml_key
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import Models
from aiostream_server.teams.autogen_private.contained import contain
from aiostream_server.teams.autogen_private.fresh_team import name_speakers, use_team_runtimes
from aiostream_server.teams.autogen_private.function_tools import share_function_tools
from aiostream_server.teams.autogen_private.identifiers import quicken_ids
from aiostream_server.teams.autogen_private.spans import skip_unrecorded_spans
from aiostream_server.teams.autogen_private.structure import Everything, everything_in
from aiostream_server.teams.autogen_private.team_facts import participant_names, sees_images
from aiostream_server.teams.context import Runs, Team, TeamContext, streams
from aiostream_server.teams.factories import Factory, import_factory
from aiostream_server.teams.served import ServedTeam, served_teams
from aiostream_server.teams.shape import Shape, shape_of
from aiostream_server.teams.tools.scope import RunScope
from aiostream_server.teams.tools.toolbox import Toolbox
from aiostream_server.tools.sql.database import Database

_T = TypeVar("_T")
_LOOK_S: Final = 10.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TeamSpec:
    """One team as it is served. `sees_images` tells about the model of its `model` key, or a component's models."""

    config: TeamConfig
    context: TeamContext
    factory: Factory
    sees_images: bool
    toolbox: Toolbox = field(default_factory=Toolbox)
    members: list[str] = field(default_factory=list)
    """The names of its agents in their order; none before the team was built."""

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def name(self) -> str:
        return self.config.name or self.config.id

    async def build(self, scope: RunScope | None = None) -> Team:
        """Build a team that has never run. Raises any exception of the factory, and TypeError if it returns no team.

        The team opens its resources in `scope`. The caller takes that from the `toolbox`, and closes it after the run.
        """
        return (await self.build_parts(scope))[0]

    async def build_parts(self, scope: RunScope | None = None) -> tuple[Team, Everything]:
        """The same, with all that is in the team: to look for that takes time."""
        shared, scope = self.context, scope or self.toolbox.scope()
        built = self.factory(TeamContext(shared.config, shared.models, shared.databases, scope))
        team = _as_team(await built if inspect.isawaitable(built) else built)
        things = everything_in(team)
        use_team_runtimes(things)
        name_speakers(things)
        contain(things)
        self.members[:] = participant_names(team)
        return team, things

    async def shape(self) -> Shape:
        """Build a team to see what it is made of. Raises what `build` raises."""
        scope = self.toolbox.scope()
        try:
            return shape_of(await self.build(scope))
        finally:
            await scope.close()


class Catalogue:
    """All served teams, in the order of the config."""

    def __init__(self, specs: Sequence[TeamSpec]) -> None:
        self._specs: Mapping[str, TeamSpec] = {spec.id: spec for spec in specs}
        self._shapes: asyncio.Task[Mapping[str, Shape | None]] | None = None

    def __iter__(self) -> Iterator[TeamSpec]:
        return iter(self._specs.values())

    def __getitem__(self, team_id: str) -> TeamSpec:
        return self._specs[team_id]

    def get(self, team_id: str) -> TeamSpec | None:
        return self._specs.get(team_id)

    def members(self, team_id: str) -> Sequence[str]:
        """The names of the team's agents in their order, if this process has built it once."""
        spec = self._specs.get(team_id)
        return () if spec is None else spec.members

    async def shapes(self) -> Mapping[str, Shape | None]:
        """Each team's shape by its id; None if it cannot be built. Builds every team once, at the first call."""
        if self._shapes is None:
            self._shapes = asyncio.create_task(self._look())
        return await asyncio.shield(self._shapes)

    async def _look(self) -> Mapping[str, Shape | None]:
        return {spec.id: await _shape_or_none(spec) for spec in self}


async def _shape_or_none(spec: TeamSpec) -> Shape | None:
    try:
        async with asyncio.timeout(_LOOK_S):
            return await spec.shape()
    except Exception as exc:  # raised by a user's own factory
        _log.warning("team_not_shown", team=spec.id, error=type(exc).__name__)
        return None


def load_catalogue(
    config: Config,
    models: Models,
    databases: Mapping[str, Database],
    embedded: Sequence[ServedTeam] = (),
    toolbox: Toolbox | None = None,
) -> Catalogue:
    """Import every factory. Raises `ConfigError` with every team that cannot be served, and why."""
    return Catalogue(for_each_team(config, lambda team: load_team(team, models, databases, toolbox), embedded))


def for_each_team(config: Config, load: Callable[[ServedTeam], _T], embedded: Sequence[ServedTeam] = ()) -> list[_T]:
    """Load every served team. Raises `ConfigError` with the problems of all of them."""
    loaded: list[_T] = []
    teams, wrong = served_teams(config, embedded)
    problems, to_add = list(wrong), dict[str, None]()
    for team in teams:
        try:
            loaded.append(load(team))
        except ConfigError as exc:
            problems += [f"{team.where} {problem}" for problem in exc.problems]
            to_add |= dict.fromkeys(exc.to_add)
    if problems:
        raise ConfigError(problems, [*to_add])
    return loaded


def load_team(
    team: ServedTeam, models: Models, databases: Mapping[str, Database], toolbox: Toolbox | None = None
) -> TeamSpec:
    share_function_tools()
    skip_unrecorded_spans()
    quicken_ids()
    toolbox = toolbox or Toolbox()
    toolbox.check(team.config.tools)
    context = TeamContext(team.config, models, _chosen(team.config.databases, databases))
    if team.config.component is None:
        factory, vision = find_factory(team), context.model().model_info["vision"]
    else:
        from aiostream_server.teams.components.loading import load  # only where there is a component

        model = team.config.model if "model" in team.config.model_fields_set else None
        path, trusted = team.config.component, team.config.trusted
        allowed = {"providers": team.providers, "hosts": team.hosts}
        factory, sample = load(path, models, **allowed, trusted=trusted, model=model)
        vision = sees_images(sample)
    return TeamSpec(team.config, context, factory, sees_images=vision, toolbox=toolbox)


def check_source(team: ServedTeam) -> None:
    """Raise `ConfigError` for a factory that cannot be imported, and for a component that must not be loaded.

    It does not load components, as that needs the models.
    """
    if team.config.component is None:
        find_factory(team)
        return
    from aiostream_server.teams.components.loading import check  # as above

    check(team.config.component, providers=team.providers, trusted=team.config.trusted, hosts=team.hosts)


def find_factory(team: ServedTeam) -> Factory:
    """The factory of a team that is no component. Raises `ConfigError`."""
    return team.factory or import_factory(team.config.factory or "")


def _chosen(names: Sequence[str], databases: Mapping[str, Database]) -> Mapping[str, Database]:
    """The databases that a team names, or all of them."""
    if unknown := [name for name in names if name not in databases]:
        raise ConfigError(
            [f"databases: there is no [database.{toml_key(unknown[0])}]{did_you_mean(unknown[0], [*databases])}"]
        )
    return {name: databases[name] for name in names or databases}


def _as_team(built: object) -> Team:
    if isinstance(built, type):
        what = f"the class {built.__name__} itself"
    elif streams(built) or isinstance(built, Runs):
        return built
    else:
        what = "None" if built is None else type(built).__name__
    raise TypeError(
        f"the factory returned {what}: expected an AutoGen team, an agent, or anything with run_stream or run"
    )
