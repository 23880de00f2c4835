"""`aiostream-server teams`: what a configuration serves, without starting it."""

import json
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from aiostream_server.cli.options import config_option, find_modules_beside, tell_unread
from aiostream_server.cli.table import shown, table
from aiostream_server.cli.teams_add import add
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, TeamConfig
from aiostream_server.errors import ConfigError

_HEAD: Final = ("ID", "NAME", "MODEL", "SOURCE", "DESCRIPTION")
_LATER: Final = {
    "show": ("teams_show", "show", "Draw who is in a team, and who can speak to whom."),
    "try": ("teams_try", "try_team", "Ask a team a question, here and now."),
}


class _Teams(click.Group):
    """With commands whose modules load other libraries, and so are imported only when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_LATER]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _LATER:
            return super().get_command(ctx, cmd_name)
        module, name, _ = _LATER[cmd_name]
        command: click.Command = getattr(import_module(f"aiostream_server.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """None is imported only to be listed."""
        told = [(name, command.get_short_help_str()) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*told, *((name, said) for name, (_, _, said) in _LATER.items())])


@click.group(cls=_Teams)
def teams() -> None:
    """List, show, try and add teams. `check` says whether they can be built."""


teams.add_command(add)


@teams.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="As a JSON list of objects.")
def list_teams(config_path: Path | None, as_json: bool) -> None:
    """List the teams. Clients ask for them by their ID; `auto` chooses one of them."""
    config = load_config(config_path, os.environ, needs_secrets=False)
    tell_unread(config)
    find_modules_beside(config_path)  # for what the files of folders import
    teams, problems = _served(config)
    found = [_facts(team) for team in teams]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for line in table([_HEAD, *([shown(str(team[head.lower()] or "")) for head in _HEAD] for team in found)]):
            click.echo(line)
    if problems:
        raise ConfigError(problems)


def _served(config: Config) -> tuple[Sequence[TeamConfig], Sequence[str]]:
    """And what is wrong with the others."""
    if config.teams and not config.team_folders:
        return config.teams, ()
    from aiostream_server.teams.served import served_teams  # loads the agents' libraries

    teams, problems = served_teams(config)
    return [team.config for team in teams], problems


def _facts(team: TeamConfig) -> Mapping[str, str | None]:
    """`model` is None where a component brings its own, and no other was named for it."""
    return {
        "id": team.id,
        "name": team.name or team.id,
        "description": team.description,
        "source": team.factory or str(team.component),
        "model": team.model if team.factory or "model" in team.model_fields_set else None,
    }
