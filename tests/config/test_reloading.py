"""What of a new configuration a running server takes."""

from pathlib import Path

from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, ConversationsConfig, ServerConfig
from aiostream_server.config.reloading import (
    FIXED_CONVERSATIONS,
    FIXED_SERVER,
    FIXED_TABLES,
    changed_tables,
    for_running,
)

TAKEN_SERVER = {
    "public_url",
    "max_body_bytes",
    "body_timeout_s",
    "heartbeat_s",
    "whole_heartbeat_s",
    "failure_memory_s",
    "reasoning_fields",
    "write_timeout_s",
}
TAKEN_CONVERSATIONS = {"max_state_bytes", "concurrent_turns"}


def loaded(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "server.toml"
    path.write_text(text, "utf-8")
    return load_config(path, environ)


def test_of_every_key_it_is_known_whether_it_can_be_reloaded() -> None:
    assert {*ServerConfig.model_fields} == {*FIXED_SERVER, *TAKEN_SERVER}
    assert {*ConversationsConfig.model_fields} == {*FIXED_CONVERSATIONS, *TAKEN_CONVERSATIONS}
    assert {*FIXED_TABLES} < {*Config.model_fields}


def test_fixed_keys_stay_and_are_named_and_all_others_are_taken(tmp_path: Path) -> None:
    running = loaded(tmp_path, "")
    wanted = loaded(
        tmp_path,
        """
        server = { port = 9000, log_level = "debug", heartbeat_s = 3.0 }
        limits.max_runs = 7
        metrics.loopback_port = 9
        files = { folder = "shared", max_bytes = 9000000 }
        conversations = { url = "sqlite+aiosqlite:///other.db", max_state_bytes = 5 }
        """,
    )
    config, restarts = for_running(running, wanted)
    assert restarts == ("[server] port", "[server] log_level", "[conversations] url", "[files] folder", "[metrics]")
    assert (config.server.port, config.server.log_level, config.metrics.loopback_port) == (8000, "info", 0)
    assert config.conversations.resolved_url is None
    assert (config.files.folder, config.files.max_bytes) == (None, 9_000_000)
    assert (config.server.heartbeat_s, config.limits.max_runs, config.conversations.max_state_bytes) == (3.0, 7, 5)
    assert changed_tables(running, config) == ("server", "limits", "conversations", "files")


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    running, wanted = loaded(tmp_path, ""), loaded(tmp_path, "")
    config, restarts = for_running(running, wanted)
    assert (config, restarts, changed_tables(running, config)) == (wanted, (), ())


def test_a_secret_that_changed_behind_its_name_is_a_change(tmp_path: Path) -> None:
    text = """
        conversations.url_env = "URL"
        models.default = { provider = "openai", model = "m", base_url = "http://h/v1", api_key_env = "KEY" }
        database.sales.url_env = "URL"
    """
    running = loaded(tmp_path, text, URL="postgresql://a/b", KEY="one")
    wanted = loaded(tmp_path, text, URL="postgresql://a/c", KEY="two")
    config, restarts = for_running(running, wanted)
    assert restarts == ("[conversations] url",)
    assert config.conversations.resolved_url == running.conversations.resolved_url
    assert changed_tables(running, config) == ("models.default", "database.sales")
