"""Reloads: which keys a running server takes from a new configuration, and which files a configuration names.

Sockets, processes, logs, the stores of conversations and runs, metrics and traces are set up once: changing them takes
a restart.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from aiostream_server.config.model import Config

FIXED_SERVER: Final = (
    "host",
    "port",
    "workers",
    "lame_duck_s",
    "drain_s",
    "tls_certificate",
    "tls_key",
    "loop",
    "cors_origins",
    "log_format",
    "log_level",
    "watch",
)
FIXED_CONVERSATIONS: Final = ("url", "url_env", "url_file", "password_env", "password_file", "expiry_s")
FIXED_TABLES: Final = ("runs", "metrics", "tracing")


def for_running(running: Config, wanted: Config) -> tuple[Config, tuple[str, ...]]:
    """The new configuration with the fixed keys as they are now, and the fixed keys that it would have changed."""
    server, conversations = wanted.server, wanted.conversations
    changed = [f"[server] {key}" for key in FIXED_SERVER if getattr(server, key) != getattr(running.server, key)]
    changed += [
        f"[conversations] {key}"
        for key in FIXED_CONVERSATIONS
        if getattr(conversations, key) != getattr(running.conversations, key)
    ]
    if not changed and conversations.resolved_url != running.conversations.resolved_url:
        changed.append("[conversations] url")  # the variable or the file that the key names holds another URL
    if wanted.files.folder != running.files.folder:
        changed.append("[files] folder")
    changed += [f"[{table}]" for table in FIXED_TABLES if getattr(wanted, table) != getattr(running, table)]
    kept_server = {key: getattr(running.server, key) for key in FIXED_SERVER}
    taken = {key: getattr(conversations, key) for key in type(conversations).model_fields}
    for key in FIXED_CONVERSATIONS:
        del taken[key]
    merged = wanted.model_copy(
        update={
            "server": server.model_copy(update=kept_server),
            "conversations": running.conversations.model_copy(update=taken),
            "files": wanted.files.model_copy(update={"folder": running.files.folder}),
            **{table: getattr(running, table) for table in FIXED_TABLES},
        }
    )
    return merged, tuple(changed)


def changed_tables(before: Config, after: Config) -> tuple[str, ...]:
    """The names of the tables that differ, except `[[teams]]`: `limits`, `models.large`."""
    plain = ("server", "auth", "limits", "routing", "open_webui", "auxiliary", "conversations", "files")
    named = [
        f"{kind}.{name}"
        for kind, olds, news in (
            ("models", before.models, after.models),
            ("database", before.database, after.database),
            ("tools", before.tools, after.tools),
        )
        for name in sorted({*olds, *news})
        if olds.get(name) != news.get(name)
    ]
    return (*(table for table in plain if getattr(before, table) != getattr(after, table)), *named)


def files_of(config: Config) -> frozenset[Path]:
    """Every file and folder that a key names: keys, components, teams, secrets, certificates. Not those in URLs, nor
    the folder that the server writes to."""
    return frozenset(_paths_in(config)) - {config.files.folder}


def _paths_in(value: object) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _paths_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _paths_in(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _paths_in(each)
