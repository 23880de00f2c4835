"""What several commands share: the --config option, and groups that import a command only when it is asked for."""

import os
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

FILE: Final = click.Path(dir_okay=False, readable=False, path_type=Path)
"""What cannot be read is told by what reads it, as every other mistake is."""

config_option: Final = click.option(
    "--config",
    "config_path",
    type=FILE,
    help="TOML file; without one the defaults, overridden by AIOSTREAM_SECTION__KEY variables.",
)


class LazyCommand(NamedTuple):
    """The module and the name of a command, and its line in the help of the group."""

    module: str
    name: str
    help: str


class LazyGroup(click.Group):
    """Imports the modules of its `lazy` commands one by one: importing all of them, only to list them, would load the
    agents' libraries."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **kwargs: Any) -> None:  # click's own parameters
        super().__init__(*args, **kwargs)
        self._lazy: Final = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, name, _ = self._lazy[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        loaded = [(name, command.get_short_help_str()) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*loaded, *((name, lazy.help) for name, lazy in self._lazy.items())])


def tell_unread(unread: Iterable[str]) -> None:
    """Name the secrets that a command did not need, and that could not be read."""
    for line in unread:
        click.echo(f"note: {line}", err=True)


def find_modules_beside(config_path: Path | None) -> None:
    """Let `factory = "module:function"` name a module in the folder of the config file.

    Installed packages come first, so that a `json.py` beside the file does not replace a library.
    """
    if config_path is not None:
        if os.geteuid() == 0 and config_path.absolute().is_relative_to("/etc"):
            sys.dont_write_bytecode = True  # root's commands leave no __pycache__ there, which the service cannot renew
        sys.path.append(str(config_path.absolute().parent))
