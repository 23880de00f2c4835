"""What of a new configuration a running server takes, and what takes a restart: sockets, processes, logs, the store of
conversations, and whatever is set up once around all requests."""

from typing import Final

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
FIXED_CONVERSATIONS: Final = ("url", "url_env", "url_file", "expiry_s")
FIXED_TABLES: Final = ("metrics", "tracing")


def for_running(running: Config, wanted: Config) -> tuple[Config, tuple[str, ...]]:
    """`wanted`, with what cannot change left as it is; and the keys whose change takes a restart."""
    server, conversations = wanted.server, wanted.conversations
    changed = [f"[server] {key}" for key in FIXED_SERVER if getattr(server, key) != getattr(running.server, key)]
    changed += [
        f"[conversations] {key}"
        for key in FIXED_CONVERSATIONS
        if getattr(conversations, key) != getattr(running.conversations, key)
    ]
    if not changed and conversations.resolved_url != running.conversations.resolved_url:
        changed.append("[conversations] url")  # what its variable or its file says
    changed += [f"[{table}]" for table in FIXED_TABLES if getattr(wanted, table) != getattr(running, table)]
    kept_server = {key: getattr(running.server, key) for key in FIXED_SERVER}
    taken = {key: getattr(conversations, key) for key in type(conversations).model_fields}
    for key in FIXED_CONVERSATIONS:
        del taken[key]
    merged = wanted.model_copy(
        update={
            "server": server.model_copy(update=kept_server),
            "conversations": running.conversations.model_copy(update=taken),
            **{table: getattr(running, table) for table in FIXED_TABLES},
        }
    )
    return merged, tuple(changed)


def changed_tables(before: Config, after: Config) -> tuple[str, ...]:
    """The tables that say something else now, `[[teams]]` aside: `limits`, `models.large`."""
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
