"""Which teams a configuration serves: those of `[[teams]]` and of `[[team_folders]]`, or the built-in ones.

A program that embeds the server brings others along; those come first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from autogen_core.models import ChatCompletionClient
from pydantic import ValidationError

from aiostream_server.config.explain import explain
from aiostream_server.config.model import Config, TeamConfig, TeamFolderConfig
from aiostream_server.config.problem_text import did_you_mean, toml_key
from aiostream_server.errors import ConfigError
from aiostream_server.teams.factories import Factory, at, place_of
from aiostream_server.teams.folders import FolderTeam, load_folder
from aiostream_server.teams.registration import Registration

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
class ServedTeam:
    """`where` begins a line that says what is wrong with it. Its `factory`, if it is there already: then that of its
    `config` only says what it is called. `providers` are the packages that its component may name."""

    config: TeamConfig
    where: str
    factory: Factory | None = None
    providers: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Where it comes from, in a few words: `mycompany.teams:sales`, `/srv/team.json`, `/srv/teams/sales.py:12`."""
        place = None if self.factory is None else place_of(self.factory)
        return place or self.config.factory or str(self.config.component)


@dataclass(frozen=True, slots=True)
class EmbeddedTeams:
    """What a program that embeds the server has beside the configuration: teams, and model clients, which stay its own
    to close. A client takes the place of the `[models.NAME]` of its name."""

    teams: Sequence[ServedTeam] = ()
    models: Mapping[str, ChatCompletionClient] = field(default_factory=dict)


NOTHING: Final = EmbeddedTeams()


class Served(NamedTuple):
    """The teams that are to be had, and a line for each mistake."""

    teams: Sequence[ServedTeam]
    problems: Sequence[str]


def served_teams(config: Config, brought: Sequence[ServedTeam] = ()) -> Served:
    """In their order. The files of folders are imported, anew each time; of `[[teams]]` nothing is yet."""
    found = [*brought, *_listed(config.teams, "[[teams]]", config.components.providers)]
    problems: list[str] = []
    for number, folder in enumerate(config.team_folders, start=1):
        in_folder = _in_folder(folder, f"[[team_folders]] #{number}")
        found += in_folder.teams
        problems += in_folder.problems
    if not (found or config.team_folders):
        found = _listed(BUILT_IN, "[[teams]]")
    teams, twice = _once_each(found)
    problems += twice
    fallback = config.routing.fallback
    if fallback is not None and not problems and fallback not in (ids := [team.config.id for team in teams]):
        problems.append(f'[routing] fallback: no team has the id "{fallback}"{did_you_mean(fallback, ids)}')
    return Served(teams, problems)


def registered_team(registration: Registration, made_by: Factory, where: str, **keys: object) -> ServedTeam:
    """`keys` are those that do not stand in the registration as they are served; None is the default.

    Raises `ConfigError` with a line for each key that is wrong.
    """
    table = {
        "examples": registration.examples,
        "roles": registration.roles,
        "answer_from": registration.answer_from,
        "presentation": registration.presentation,
        "on_disconnect": registration.on_disconnect,
        **keys,
    }
    document = {"teams": [{name: value for name, value in table.items() if value is not None}]}
    try:
        config = Config.model_validate(document).teams[0]
    except ValidationError as exc:
        named = f" ({toml_key(team_id)})" if isinstance(team_id := table["id"], str) else ""
        lines = explain(exc, document, lambda _: None)
        problems = [" ".join(line.removeprefix(f"[[teams]] #1{named}").split()) for line in lines]
        raise ConfigError([f"{where} {problem}{at(place_of(made_by))}" for problem in problems]) from exc
    return ServedTeam(config, where, made_by)


def _listed(teams: Iterable[TeamConfig], kind: str, providers: tuple[str, ...] = ()) -> list[ServedTeam]:
    numbered = enumerate(teams, start=1)
    return [ServedTeam(team, f"{kind} #{number} ({team.id})", providers=providers) for number, team in numbered]


def _in_folder(folder: TeamFolderConfig, where: str) -> Served:
    found, wrong = load_folder(folder.path)
    teams: list[ServedTeam] = []
    problems = [f"{where} {problem}" for problem in wrong]
    for team in found:
        try:
            teams.append(_of_folder(team, folder, f"{where} {team.file.name} ({team.id})"))
        except ConfigError as exc:
            problems += exc.problems
    return Served(teams, problems)


def _of_folder(team: FolderTeam, folder: TeamFolderConfig, where: str) -> ServedTeam:
    """What the factory itself is marked with goes before what the folder says of all of them."""
    own = team.registration
    return registered_team(
        own,
        team.factory,
        where,
        id=team.id,
        name=team.name,
        description=team.description,
        factory=team.label,
        model=folder.model if own.model is None else own.model,
        databases=folder.databases if own.databases is None else own.databases,
        tools=folder.tools if own.tools is None else own.tools,
        settings={**folder.settings, **own.settings},
    )


def _once_each(found: Iterable[ServedTeam]) -> Served:
    """The first team of each id."""
    teams: dict[str, ServedTeam] = {}
    problems: list[str] = []
    for team in found:
        first = teams.setdefault(team.config.id, team)
        if first is not team:
            problems.append(f'{team.where} id: {first.where} has the id "{team.config.id}", too')
    return Served(tuple(teams.values()), problems)
