"""`aiostream-server version`."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

import click

from aiostream_server import __version__

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


@click.command()
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
