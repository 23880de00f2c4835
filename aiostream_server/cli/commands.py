"""The command line: one module for each command, imported when that command is asked for.

The help of the whole is written here, since importing the commands only to list them would load the agents' libraries.
"""

from importlib import import_module
from typing import Final, NamedTuple

import click

from aiostream_server import __version__
from aiostream_server.errors import ConfigError


class _Entry(NamedTuple):
    """Where a command is, and what it does."""

    module: str
    name: str
    help: str


_COMMANDS: Final = {
    "serve": _Entry("aiostream_server.cli.serve", "serve", "Start the server."),
    "ask": _Entry("aiostream_server.cli.ask", "ask", "Ask a running server a question and watch the answer come."),
    "check": _Entry("aiostream_server.cli.check", "check", "Load everything and report every mistake at once."),
    "keys": _Entry("aiostream_server.cli.keys", "keys", "Create, list and revoke API keys."),
    "teams": _Entry("aiostream_server.cli.teams", "teams", "List, show, try and add teams."),
    "conversations": _Entry(
        "aiostream_server.cli.conversations", "conversations", "List and delete what teams remember of conversations."
    ),
    "version": _Entry("aiostream_server.cli.version", "version", "Print the version."),
}


class _Commands(click.Group):
    """The commands of the table above. A broken configuration ends any of them with its problems and status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(entry.module), entry.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigError as exc:
            for problem in exc.problems:
                click.echo(problem, err=True)
            if exc.to_add:
                click.echo("\n".join(["", *exc.to_add]), err=True)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def cli() -> None:
    """AutoGen agent teams, served as streaming OpenAI models."""
