"""`aiostream-server teams show`: a team as a drawing."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from aiostream_server.cli.canvas import Line, Piece, to_ascii
from aiostream_server.cli.drawing import draw
from aiostream_server.cli.mermaid import mermaid
from aiostream_server.cli.options import config_option, find_modules_beside, tell_unread
from aiostream_server.cli.table import shown
from aiostream_server.config.load import load_config
from aiostream_server.service.logging import configure_logging
from aiostream_server.service.trial import Seen, only, see

_STYLES: Final = {"": "", "name": "bold cyan", "line": "dim", "note": "dim"}
_WIDEST: Final = 120


@click.command()
@click.argument("team", metavar="ID")
@config_option
@click.option("--mermaid", "as_mermaid", is_flag=True, help="As a Mermaid flowchart, for documents.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
@click.option("--ascii", "as_ascii", is_flag=True, help="With ASCII's signs only.")
@click.option("--width", type=click.IntRange(min=24), help="Cells; else the terminal's.")
def show(
    team: str, config_path: Path | None, as_mermaid: bool, as_json: bool, as_ascii: bool, width: int | None
) -> None:
    """Draw who is in the team ID, and who can speak to whom. It is built for that, and not run."""
    if as_mermaid and as_json:
        raise click.UsageError("--mermaid and --json exclude each other")
    seen = _look(config_path, team)
    if as_json:
        click.echo(json.dumps(asdict(seen), indent=2, ensure_ascii=False))
    elif as_mermaid:
        click.echo(mermaid(seen.shape), nl=False)
    else:
        available = width or min(shutil.get_terminal_size().columns, _WIDEST)
        as_ascii = as_ascii or not _has_lines(sys.stdout.encoding)
        heading = [to_ascii(line) for line in _heading(seen, available)] if as_ascii else _heading(seen, available)
        _print([*heading, *draw(seen.shape, available, in_ascii=as_ascii)])


def _look(config_path: Path | None, team: str) -> Seen:
    config = load_config(config_path, os.environ, needs_secrets=False)
    tell_unread(config)
    find_modules_beside(config_path)
    configure_logging("critical", "text")
    with tempfile.TemporaryDirectory(prefix="aiostream-look-", ignore_cleanup_errors=True) as folder:
        return asyncio.run(see(only(config, team), Path(folder), team, has_file=config_path is not None))


def _heading(seen: Seen, width: int) -> list[Line]:
    named = shown(seen.name) if seen.name != seen.id else ""
    title = (Piece(seen.id, "name"), *([Piece(f" · {named}")] if named else []))
    described = textwrap.wrap(shown(seen.description), width) if seen.description else []
    return [title, *((Piece(line),) for line in described), ()]


def _print(lines: list[Line]) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    for line in lines:
        text = Text.assemble(*((piece.text, _STYLES[piece.tone]) for piece in line))
        text.rstrip()
        console.print(text, soft_wrap=True)


def _has_lines(encoding: str | None) -> bool:
    try:
        "╭─╮▼→".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
