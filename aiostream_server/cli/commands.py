"""The command line. Each command has a module of its own, which is imported when the command is asked for."""

import io
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

import click

from aiostream_server import __version__
from aiostream_server.cli.options import LazyCommand, LazyGroup
from aiostream_server.errors import ConfigError

_COMMANDS: Final = {
    "serve": LazyCommand("aiostream_server.cli.serve", "serve", "Start the server."),
    "ask": LazyCommand("aiostream_server.cli.ask", "ask", "Ask a running server a question and watch the answer come."),
    "check": LazyCommand("aiostream_server.cli.check", "check", "Load everything and report every mistake at once."),
    "keys": LazyCommand("aiostream_server.cli.keys", "keys", "Create, list and revoke API keys."),
    "teams": LazyCommand("aiostream_server.cli.teams", "teams", "List, show, try and add teams."),
    "conversations": LazyCommand(
        "aiostream_server.cli.conversations", "conversations", "List and delete what teams remember of conversations."
    ),
}
_LIBRARIES: Final = (
    "aiohttp",
    "uvloop",
    "autogen-agentchat",
    "autogen-core",
    "autogen-ext",
    "pydantic",
    "msgspec",
    "SQLAlchemy",
    "aiosqlite",
    "asyncpg",
    "sqlglot",
    "openai",
    "mcp",
    "prometheus-client",
    "opentelemetry-sdk",
)


class _Commands(LazyGroup):
    """A broken configuration ends any command with its problems on stderr and status 1. What the encoding of stdout
    lacks is written as a question mark."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, "version"]

    def invoke(self, ctx: click.Context) -> object:
        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
            sys.stdout.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except ConfigError as exc:
            for problem in exc.problems:
                click.echo(problem, err=True)
            if exc.to_add:
                click.echo("\n".join(["", *exc.to_add]), err=True)
            ctx.exit(1)


@click.group(cls=_Commands, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def cli() -> None:
    """AutoGen agent teams, served as streaming OpenAI models."""


@cli.command()
@click.option("--verbose", is_flag=True, help="Also Python's and the libraries': what a report of a problem needs.")
def version(verbose: bool) -> None:
    """Print the version."""
    click.echo(__version__)
    if verbose:
        for name, what in _details():
            click.echo(f"{name:<20}{what}")


def _details() -> Iterator[tuple[str, str]]:
    yield "installed in", str(Path(__file__).parents[1])
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    yield "system", platform.platform()
    for library in _LIBRARIES:
        try:
            yield library, version_of(library)
        except PackageNotFoundError:
            yield library, "not installed"
