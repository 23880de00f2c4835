"""The catalogue: a model id -> a fresh team."""

import importlib
import inspect
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from autogen_core import ComponentLoader

from aiostream_server.config.model import Config, TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import Models
from aiostream_server.teams.context import Runs, Streams, Team, TeamContext
from aiostream_server.teams.inside import sees_images, use_team_runtimes
from aiostream_server.tools.sql.database import Database

_T = TypeVar("_T")
Factory: TypeAlias = Callable[[TeamContext], object | Awaitable[object]]

BUILT_IN: Final = (
    TeamConfig(
        id="general",
        name="General assistant",
        description="Answers questions, and calculates with a real calculator.",
        examples=("What is 15% of 850?", "How do I write a polite reminder?"),
        factory="aiostream_server.teams.general:build",
        answer_from=("Assistant",),
    ),
    TeamConfig(
        id="data",
        name="Data analysis",
        description="Answers questions about the database with checked, read-only SQL.",
        examples=("Which region had the highest total sales?", "How did revenue develop month by month?"),
        factory="aiostream_server.teams.data:build",
        roles={"SQLAgent": "thinking", "ValidationAgent": "validation"},
        answer_from=("AnalysisAgent",),
    ),
)


@dataclass(frozen=True, slots=True)
class TeamSpec:
    """One team as it is served. `sees_images`: whether the model of its `model` key does, or a component's own."""

    config: TeamConfig
    context: TeamContext
    factory: Factory
    sees_images: bool

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def name(self) -> str:
        return self.config.name or self.config.id

    async def build(self) -> Team:
        """A team that has never run. Raises whatever the factory raises, and TypeError for what is no team."""
        built = self.factory(self.context)
        team = _as_team(await built if inspect.isawaitable(built) else built)
        use_team_runtimes(team)
        return team


class Catalogue:
    """Every team that is served, in the order of the config."""

    def __init__(self, specs: Sequence[TeamSpec]) -> None:
        self._specs: Mapping[str, TeamSpec] = {spec.id: spec for spec in specs}

    def __iter__(self) -> Iterator[TeamSpec]:
        return iter(self._specs.values())

    def __getitem__(self, team_id: str) -> TeamSpec:
        return self._specs[team_id]

    def get(self, team_id: str) -> TeamSpec | None:
        return self._specs.get(team_id)


def load_catalogue(config: Config, models: Models, databases: Mapping[str, Database]) -> Catalogue:
    """Import every factory. Raises `ConfigError` with every team that cannot be served, and why."""
    return Catalogue(for_each_team(config, lambda team: load_team(team, models, databases)))


def for_each_team(config: Config, load: Callable[[TeamConfig], _T]) -> list[_T]:
    """Load every team that is served. Raises `ConfigError` with what is wrong with any of them."""
    loaded: list[_T] = []
    problems: list[str] = []
    for number, team in enumerate(config.teams or BUILT_IN, start=1):
        try:
            loaded.append(load(team))
        except ConfigError as exc:
            problems += [f"[[teams]] #{number} ({team.id}) {problem}" for problem in exc.problems]
    if problems:
        raise ConfigError(problems)
    return loaded


def load_team(team: TeamConfig, models: Models, databases: Mapping[str, Database]) -> TeamSpec:
    names = team.databases or tuple(databases)
    context = TeamContext(team, models, {name: databases[name] for name in names})
    factory, sample = find_factory(team)
    vision = context.model().model_info["vision"] if sample is None else sees_images(sample)
    return TeamSpec(team, context, factory, sees_images=vision)


def find_factory(team: TeamConfig) -> tuple[Factory, Team | None]:
    """What builds the team; of a component, also one that was built to see that it can be. Raises `ConfigError`."""
    return _component_factory(team.component) if team.component else (_import_factory(team.factory or ""), None)


def _as_team(built: object) -> Team:
    if not isinstance(built, Streams | Runs):
        raise TypeError(
            f"the factory returned {type(built).__name__}: expected an AutoGen team, an agent, "
            "or anything with run_stream or run"
        )
    return built


def _import_factory(path: str) -> Factory:
    module_name, _, attribute = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except Exception as exc:  # importing runs whatever stands in the module
        raise ConfigError([f'factory: "{path}" cannot be imported: {_reason(exc)}']) from exc
    if not callable(factory):
        raise ConfigError([f'factory: "{path}" is a {type(factory).__name__}: expected a function of one argument'])
    found: Factory = factory
    return found


def _component_factory(path: Path) -> tuple[Factory, Team]:
    """AutoGen's own JSON, and a team that was made of it to see that it can be.

    It imports what it names, so it is trusted as much as the config that names it.
    """
    try:
        component = json.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise ConfigError([f"component: {str(path)!r} cannot be read: {exc.strerror}"]) from exc
    except ValueError as exc:
        raise ConfigError([f"component: {str(path)!r} is not JSON: {exc}"]) from exc

    def build(_: TeamContext) -> Team:
        return _as_team(ComponentLoader.load_component(component, object))

    try:
        return build, _as_team(ComponentLoader.load_component(component, object))
    except Exception as exc:  # whatever the component's own code raises
        raise ConfigError([f"component: {str(path)!r} cannot be loaded: {_reason(exc)}"]) from exc


def _reason(exc: Exception) -> str:
    """One line."""
    return f"{type(exc).__name__}: {' '.join(str(exc).split())}"
