"""What several commands ask for in the same way."""

from pathlib import Path
from typing import Final

import click

FILE: Final = click.Path(dir_okay=False, path_type=Path)

config_option: Final = click.option(
    "--config",
    "config_path",
    type=FILE,
    help="TOML file; without one the defaults, overridden by AIOSTREAM_SECTION__KEY variables.",
)
