"""`aiostream-server conversations`: list and delete stored conversations. A running server needs no restart."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import click

from aiostream_server.cli.options import config_option
from aiostream_server.cli.printing import aligned_rows, one_line, without_controls
from aiostream_server.config.environment import state_directory
from aiostream_server.config.load import load_config
from aiostream_server.store.conversations import Conversations, ConversationSummary, open_conversations
from aiostream_server.store.database import ConversationsUnavailable

_T = TypeVar("_T")

_HEAD: Final = ("KEY", "USER", "CONVERSATION", "TEAM", "STATES", "SIZE", "LAST USED")

key_option = click.option("--key", "key_id", metavar="ID", help="Only those of this API key.")
user_option = click.option("--user", "user_id", metavar="ID", help="Only those of this user.")


@click.group()
def conversations() -> None:
    """List and delete what teams remember of conversations. A running server needs no restart."""


@conversations.command("list")
@config_option
@key_option
@user_option
def list_conversations(config_path: Path | None, key_id: str | None, user_id: str | None) -> None:
    """List the conversations, the most recently used first. SIZE is the size of their states in the database."""
    found = _ask(config_path, lambda store: store.summaries(key_id=key_id, user_id=user_id))
    for line in aligned_rows([_HEAD, *map(_row, found)]):
        click.echo(line)


@conversations.command()
@config_option
@key_option
@user_option
@click.option("--conversation", metavar="NAME", help="Only those of this name.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(
    config_path: Path | None, key_id: str | None, user_id: str | None, conversation: str | None, yes: bool
) -> None:
    """Delete the conversations that match --key, --user and --conversation. It cannot be undone."""
    if key_id is None and user_id is None and conversation is None:
        raise click.UsageError("which conversations? give --key, --user or --conversation")
    if not yes:
        found = _ask(config_path, lambda store: store.summaries(key_id=key_id, user_id=user_id))
        named = [summary for summary in found if conversation in (None, summary.address.conversation)]
        if not named:
            click.echo("There is no such conversation.", err=True)
            return
        click.confirm(f"Delete {_counted(len(named))}?", abort=True, err=True)
    deleted = _ask(config_path, lambda store: store.delete(key_id=key_id, user_id=user_id, conversation=conversation))
    click.echo(f"{_counted(deleted)} deleted.", err=True)


@conversations.command()
@config_option
def expire(config_path: Path | None) -> None:
    """Delete expired conversations now. The server does so once an hour."""
    deleted = _ask(config_path, lambda store: store.delete_expired())
    click.echo(f"{_counted(deleted)} deleted.", err=True)


def _ask(config_path: Path | None, question: Callable[[Conversations], Awaitable[_T]]) -> _T:
    async def ask() -> _T:
        config = load_config(config_path, os.environ, section="conversations").conversations
        async with open_conversations(config, state_directory(os.environ), must_exist=True) as store:
            return await question(store)

    try:
        return asyncio.run(ask())
    except ConversationsUnavailable as exc:
        raise click.ClickException(without_controls(str(exc))) from exc


def _row(summary: ConversationSummary) -> Sequence[str]:
    address, used = summary.address, datetime.fromtimestamp(summary.updated_at, UTC)
    names = (one_line(name) for name in (*address, summary.team))
    return (*names, str(summary.states), _size(summary.size_bytes), f"{used:%Y-%m-%d %H:%M} UTC")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1000:.1f} kB" if size_bytes < 1_000_000 else f"{size_bytes / 1_000_000:.1f} MB"


def _counted(count: int) -> str:
    return f"{count} conversation{'' if count == 1 else 's'}"
