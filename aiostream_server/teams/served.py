"""Which teams a configuration serves: those of `[[teams]]` and of `[[team_folders]]`, or the built-in ones.

A program that embeds the server adds its own teams; those come first.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from autogen_core.models import ChatCompletionClient
from pydantic import ValidationError

from aiostream_server.config.explain import explain
from aiostream_server.config.model import ComponentsConfig, Config, TeamConfig, TeamFolderConfig
from aiostream_server.config.problem_text import did_you_mean, toml_key
from aiostream_server.errors import ConfigError
from aiostream_server.teams.factories import Factory, at, place_of
from aiostream_server.teams.folders import load_folder
from aiostream_server.teams.registration import Registration, name_and_description

BUILT_IN: Final = (
    TeamConfig(
        id="general",
        name="General assistant",
        description="Answers questions, and calculates with a real calculator.",
        examples=("What is 15% of 850?", "How do I write a polite reminder?"),
        factory="aiostream_server.teams.general:build",
        answer_from=("Assistant",),
        client_tools=True,
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
    """One team before it is loaded.

    `where` begins each line about a mistake in it. `factory` is set if it is imported already; then `config.factory`
    is only its label. `providers` are the packages that its component may name, `hosts` what it may ask
    though it is not public.
    """

    config: TeamConfig
    where: str
    factory: Factory | None = None
    providers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Where it is defined: `mycompany.teams:sales`, `/srv/team.json`, `/srv/teams/sales.py:12`."""
        place = None if self.factory is None else place_of(self.factory)
        return place or self.config.factory or str(self.config.component)


@dataclass(frozen=True, slots=True)
class EmbeddedTeams:
    """The teams and model clients of a program that embeds the server, in addition to the configuration.

    A client replaces the `[models.NAME]` table of its name. The program closes its clients.
    """

    teams: Sequence[ServedTeam] = ()
    models: Mapping[str, ChatCompletionClient] = field(default_factory=dict)


NOTHING: Final = EmbeddedTeams()


class Served(NamedTuple):
    """The teams, and one line for each mistake."""

    teams: Sequence[ServedTeam]
    problems: Sequence[str]


def served_teams(config: Config, embedded: Sequence[ServedTeam] = ()) -> Served:
    """The teams in the order of the configuration. Imports the files of folders anew, but no factory of `[[teams]]`."""
    found = [*embedded, *_listed(config.teams, config.components)]
    problems: list[str] = []
    for number, folder in enumerate(config.team_folders, start=1):
        in_folder = _in_folder(folder, f"[[team_folders]] #{number}")
        found += in_folder.teams
        problems += in_folder.problems
    if not (found or config.team_folders):
        found = _listed(BUILT_IN)
    teams: dict[str, ServedTeam] = {}
    for team in found:
        first = teams.setdefault(team.config.id, team)
        if first is not team:
            problems.append(f'{team.where} id: {first.where} has the id "{team.config.id}", too')
    fallback = config.routing.fallback
    if fallback is not None and not problems and fallback not in teams:
        problems.append(f'[routing] fallback: no team has the id "{fallback}"{did_you_mean(fallback, [*teams])}')
    return Served(tuple(teams.values()), problems)


def registered_team(
    factory: Factory,
    registration: Registration,
    where: str,
    *,
    team_id: str,
    label: tuple[str, str],
    docstring: str | None,
    folder: TeamFolderConfig | None = None,
) -> ServedTeam:
    """A team of a factory that is imported already. The registration takes precedence over the folder's table.

    `label` (module or file, function) becomes the `factory` of its config. Raises `ConfigError`, a line for each wrong
    key.
    """
    name, description = name_and_description(docstring)
    table: dict[str, Any] = {"id": team_id, "name": name, "description": description}
    table |= {"factory": ":".join(re.sub(r"[^\w.]", "_", part) for part in label)}
    if folder is not None:
        table |= {key: getattr(folder, key) for key in ("model", "databases", "tools")}
    table |= registration.keys
    table["settings"] = {**(folder.settings if folder is not None else {}), **registration.settings}
    document = {"teams": [table]}
    try:
        config = Config.model_validate(document).teams[0]
    except ValidationError as exc:
        named = f" ({toml_key(team_id)})" if isinstance(table["id"], str) else ""  # `@team` does not check its type
        lines = explain(exc, document, lambda _: None)
        problems = [" ".join(line.removeprefix(f"[[teams]] #1{named}").split()) for line in lines]
        raise ConfigError([f"{where} {problem}{at(place_of(factory))}" for problem in problems]) from exc
    return ServedTeam(config, where, factory)


def _listed(teams: Iterable[TeamConfig], allowed: ComponentsConfig | None = None) -> list[ServedTeam]:
    rules = allowed or ComponentsConfig()
    return [
        ServedTeam(team, f"[[teams]] #{number} ({team.id})", providers=rules.providers, hosts=rules.hosts)
        for number, team in enumerate(teams, start=1)
    ]


def _in_folder(folder: TeamFolderConfig, where: str) -> Served:
    found, wrong = load_folder(folder.path)
    teams: list[ServedTeam] = []
    problems = [f"{where} {problem}" for problem in wrong]
    for team in found:
        try:
            teams.append(
                registered_team(
                    team.factory,
                    team.registration,
                    f"{where} {team.file.name} ({team.id})",
                    team_id=team.id,
                    label=(team.file.name, team.function),
                    docstring=team.docstring,
                    folder=folder,
                )
            )
        except ConfigError as exc:
            problems += exc.problems
    return Served(teams, problems)
