"""`aiostream-server teams add`: a team that somebody made elsewhere, served here."""

from pathlib import Path

import click

from aiostream_server.cli.options import FILE
from aiostream_server.cli.table import shown


@click.command()
@click.argument("file", type=FILE)
@click.option("--config", "config_path", type=FILE, help="TOML file that the team is added to.")
@click.option("--choose", metavar="NAME", help="Which one, of a gallery of several: its name, or its number.")
@click.option("--id", "team_id", metavar="ID", help="What clients send as the model; else made of its name.")
@click.option("--name", help="What clients show; else its own name.")
@click.option("--description", help="What it is for, which routing reads, too; else its own description.")
@click.option("--model", metavar="NAME", help="Let all of its agents use [models.NAME], whatever they say themselves.")
@click.option("--trust", is_flag=True, help="Let code in it run: only for a file whose every line you trust.")
@click.option(
    "--replace", is_flag=True, help="Put it into the place of the team with its id; the [[teams]] table stays."
)
def add(
    file: Path,
    config_path: Path | None,
    choose: str | None,
    team_id: str | None,
    name: str | None,
    description: str | None,
    model: str | None,
    trust: bool,
    replace: bool,
) -> None:
    """Add the team in FILE: of AutoGen Studio, out of a gallery of Studio, or as `dump_component()` writes it.

    The JSON is put into the folder `teams` beside the configuration, and a [[teams]] table to the end of that.
    """
    if config_path is None:
        raise click.UsageError("which configuration? give --config server.toml; an empty file will do to begin with")
    if replace and (trust or name or description or model):
        raise click.UsageError("--replace leaves the [[teams]] table as it is: change name, model or trust there")
    from aiostream_server.cli.team_file import Wanted, add_team  # loads the agents' libraries

    wanted = Wanted(choose, team_id, name, description, model, trust, replace)
    for line in add_team(file, config_path, wanted):
        click.echo(shown(line))
