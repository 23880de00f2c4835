"""Settings: one TOML file, environment variables over it, and every mistake in them reported at once.

Public are `Config`, the frozen model of all settings, `load_config` and `ConfigError`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiostream_server.config.load import load_config
    from aiostream_server.config.model import Config
    from aiostream_server.errors import ConfigError

__all__ = ["Config", "ConfigError", "load_config"]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that `aiostream_server.embed.team` stays cheap to import."""
    if name == "Config":
        from aiostream_server.config.model import Config

        return Config
    if name == "load_config":
        from aiostream_server.config.load import load_config

        return load_config
    if name == "ConfigError":
        from aiostream_server.errors import ConfigError

        return ConfigError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
