"""The server inside of somebody else's program.

    from aiohttp import web
    from aiostream_server.embed import create_app, team

    @team(id="greeter", answer_from=["Greeter"])
    def greeter(context):
        return AssistantAgent("Greeter", context.model())

    web.run_app(create_app([greeter], config="server.toml"), handler_cancellation=True)

The app is an `aiohttp.web.Application`: for `web.run_app`, for an `AppRunner` in the program's own event loop, or as a
sub-application (`app.add_subapp("/ai", create_app(...))`). It opens nothing before it is started, and closes everything
when it is cleaned up. With it come the teams, models, databases, conversations, limits, keys, metrics and traces of the
configuration. What belongs to a process stays the program's: sockets, TLS, signals, worker processes, the event loop,
where log lines go, and what systemd is told. So `[server]` host, port, workers, tls_*, loop, log_*, lame_duck_s and
drain_s say nothing here, and nothing is reloaded.

Importing this loads neither the agents' libraries nor aiohttp: `create_app` does.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiostream_server.teams.registration import team

if TYPE_CHECKING:
    from aiohttp import web
    from autogen_core.models import ChatCompletionClient

    from aiostream_server.config.model import Config
    from aiostream_server.embed.parts import (
        Observer,
        TeamContext,
        chart_tool,
        chart_tool_over,
        current_files,
        draw_chart,
    )

__all__ = [
    "Observer",
    "TeamContext",
    "chart_tool",
    "chart_tool_over",
    "create_app",
    "current_files",
    "draw_chart",
    "team",
]


def create_app(
    teams: Sequence[Callable[..., object]] = (),
    *,
    config: "Config | Mapping[str, Any] | Path | str | None" = None,
    models: "Mapping[str, ChatCompletionClient] | None" = None,
    state_directory: Path | str | None = None,
    observer: "Observer | None" = None,
) -> "web.Application":
    """The server as an app, with `teams` (factories, marked with `@team` or not) before those of the configuration.

    `config` is a TOML file, or what would stand in one; variables (AIOSTREAM_SECTION__KEY) override it, but not a
    `Config`, which counts as it is. Without any the demo model answers. `models` are AutoGen clients of the program's
    own, by the names that `context.model(NAME)` and `model = "NAME"` have for them; they take the place of
    `[models.NAME]`, and the program closes them. Without teams of any kind the two built-in ones are served.
    `state_directory` is where conversations and the like are kept: the server's own by default. `observer` is told of
    requests, runs and model calls.

    Raises `ConfigError`, whose lines say everything that is wrong; starting the app does so for what only shows then,
    such as modules that cannot be imported and databases that do not answer.
    """
    from aiostream_server.embed.app import wire  # loads the agents' libraries

    return wire(teams, config, models or {}, state_directory, observer)


def __getattr__(name: str) -> object:
    """Load a public name of `parts` when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from aiostream_server.embed import parts  # loads the agents' libraries

    return getattr(parts, name)
