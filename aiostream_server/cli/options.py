"""What several commands ask for in the same way."""

import sys
from pathlib import Path
from typing import Final

import click

from aiostream_server.config.model import Config

FILE: Final = click.Path(dir_okay=False, path_type=Path)

config_option: Final = click.option(
    "--config",
    "config_path",
    type=FILE,
    help="TOML file; without one the defaults, overridden by AIOSTREAM_SECTION__KEY variables.",
)


def tell_unread(config: Config) -> None:
    """Of a command that needs no secrets: those that would be missing."""
    for line in config.unread:
        click.echo(f"note: {line}", err=True)


def find_modules_beside(config_path: Path | None) -> None:
    """Let `factory = "module:function"` name a module that lies in the folder of the config file.

    Installed packages come first: a `json.py` beside a config must not take a library's place.
    """
    if config_path is not None:
        sys.path.append(str(config_path.absolute().parent))
