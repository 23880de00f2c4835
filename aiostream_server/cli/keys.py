"""`aiostream-server keys`: create, list and revoke API keys.

Only the new key is printed on stdout, so that `KEY=$(aiostream-server keys create ...)` works. It is shown once.
"""

import os
from pathlib import Path
from typing import Final, get_args

import click

from aiostream_server.cli.options import FILE
from aiostream_server.cli.printing import aligned_rows, one_line
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Presentation
from aiostream_server.errors import ConfigError
from aiostream_server.intake.key_file import add_key, remove_key
from aiostream_server.intake.keys import Key, KeyRing, new_key

_HEAD: Final = ("ID", "NAME", "CREATED", "MODELS", "USER HEADERS", "CLIENT", "PRESENTATION")
PRESENTATIONS: Final = get_args(Presentation)

_RELOAD = "A running server {} it after a reload: `systemctl reload aiostream-server`, or SIGHUP."

config_option = click.option("--config", "config_path", type=FILE, help="TOML file; its [auth] names the keys file.")
keys_file_option = click.option("--keys-file", type=FILE, help="The keys file itself.")


@click.group()
def keys() -> None:
    """Create, list and revoke API keys. A running server reads them again at SIGHUP (`systemctl reload`)."""


@keys.command()
@click.argument("name")
@config_option
@keys_file_option
@click.option("--model", "models", multiple=True, metavar="ID", help="Allow only this model; may be repeated.")
@click.option("--trust-user-headers", is_flag=True, help="Trust the user headers that come with this key.")
@click.option("--open-webui", is_flag=True, help="For Open WebUI: show answers its way, even without its headers.")
@click.option("--presentation", type=click.Choice(PRESENTATIONS), help="How answers are shown to this key's holder.")
@click.option("--metrics", is_flag=True, help="A key that can read /metrics only.")
def create(
    name: str,
    config_path: Path | None,
    keys_file: Path | None,
    models: tuple[str, ...],
    trust_user_headers: bool,
    open_webui: bool,
    presentation: Presentation | None,
    metrics: bool,
) -> None:
    """Create a key for NAME and print it, once."""
    if metrics and (models or trust_user_headers or open_webui or presentation):
        raise click.UsageError("a key made with --metrics cannot ask questions: --metrics excludes the other options")
    path = _keys_file(config_path, keys_file)
    key, text = new_key(
        _printable(name),
        models=models or None,
        trust_user_headers=trust_user_headers,
        client="open-webui" if open_webui else None,
        scope="metrics" if metrics else "ask",
        presentation=presentation,
    )
    add_key(path, key)
    click.echo(f"Key {key.id} for {key.name}, stored as a hash in {path}.", err=True)
    click.echo(f"It is shown this once. {_RELOAD.format('knows')}", err=True)
    click.echo(text.get_secret_value())


@keys.command("list")
@config_option
@keys_file_option
def list_keys(config_path: Path | None, keys_file: Path | None) -> None:
    """List the keys, without their secret parts."""
    ring = KeyRing.load(_keys_file(config_path, keys_file))
    for line in aligned_rows([_HEAD, *map(_row, ring)]):
        click.echo(line)


@keys.command()
@click.argument("key_id", metavar="ID")
@config_option
@keys_file_option
def revoke(key_id: str, config_path: Path | None, keys_file: Path | None) -> None:
    """Revoke the key with this ID: the eight characters after `aio-`."""
    key, left = remove_key(_keys_file(config_path, keys_file), key_id)
    click.echo(f"Key {key.id} of {key.name} is revoked. {_RELOAD.format('refuses')}", err=True)
    if not left:
        click.echo("No key is left: the server then binds a loopback address only, and asks for no key.", err=True)


def _row(key: Key) -> tuple[str, ...]:
    allowed = "all" if key.models is None else ", ".join(key.models)
    allowed = allowed if key.scope == "ask" else "only /metrics"
    believed = "trusted" if key.trust_user_headers else "ignored"
    created, presentation = f"{key.created:%Y-%m-%d %H:%M} UTC", key.presentation or "the team's"
    return key.id, one_line(key.name), created, one_line(allowed), believed, key.client or "any", presentation


def _keys_file(config_path: Path | None, keys_file: Path | None) -> Path:
    if config_path is not None and keys_file is not None:
        raise click.UsageError("--config and --keys-file both name the keys file: give one of them")
    if keys_file is not None:
        return keys_file
    if config_path is None:
        raise click.UsageError("which keys file? give --keys-file FILE, or --config FILE")
    if (named := load_config(config_path, os.environ, section="auth").auth.keys_file) is not None:
        return named
    raise ConfigError([f'[auth] keys_file: {config_path} names none; add keys_file = "keys.json" under [auth]'])


def _printable(name: str) -> str:
    if name.strip() and name.isprintable():
        return name.strip()
    raise click.BadParameter("expected a name of printable characters", param_hint="NAME")
