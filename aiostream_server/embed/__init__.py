"""The server inside another Python program.

    from aiohttp import web
    from aiostream_server.embed import create_app, team

    @team(id="greeter", answer_from=["Greeter"])
    def greeter(context):
        return AssistantAgent("Greeter", context.model())

    web.run_app(create_app([greeter], config="server.toml"), handler_cancellation=True)

The app is an `aiohttp.web.Application`: for `web.run_app`, for an `AppRunner` in the program's own event loop, or as a
sub-application (`app.add_subapp("/ai", create_app(...))`). It opens everything when it is started and closes it
at cleanup: the teams, models, databases, conversations, limits, keys, metrics and traces of the configuration. The
program keeps what belongs to a process: sockets, TLS, signals, worker processes, the event loop, the destination of log
lines, and systemd. So `[server]` host, port, workers, tls_*, loop, log_*, lame_duck_s and drain_s have no effect here,
and nothing is reloaded.

Importing this loads neither the agents' libraries nor aiohttp: `create_app` does.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiostream_server.teams.registration import team

if TYPE_CHECKING:
    from aiohttp import web
    from autogen_core.models import ChatCompletionClient

    from aiostream_server.config.model import Config
    from aiostream_server.observe.observer import Observer
    from aiostream_server.store.run_files import current_files
    from aiostream_server.teams.charts import chart_tool, chart_tool_over, draw_chart
    from aiostream_server.teams.context import TeamContext

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

_IMPORTED_FROM: Final = {
    "Observer": "observe.observer",
    "TeamContext": "teams.context",
    "chart_tool": "teams.charts",
    "chart_tool_over": "teams.charts",
    "current_files": "store.run_files",
    "draw_chart": "teams.charts",
}


def create_app(
    teams: Sequence[Callable[..., object]] = (),
    *,
    config: "Config | Mapping[str, Any] | Path | str | None" = None,
    models: "Mapping[str, ChatCompletionClient] | None" = None,
    state_directory: Path | str | None = None,
    observer: "Observer | None" = None,
) -> "web.Application":
    """The server as an app, with `teams` (factories, with or without `@team`) before those of the configuration.

    `config` is a TOML file or its content as a mapping; variables (AIOSTREAM_SECTION__KEY) override both. A `Config` is
    used as it is. Without `config` the demo model answers. `models` are the program's own AutoGen clients, by the names
    in `context.model(NAME)` and `model = "NAME"`; they replace `[models.NAME]`, and the program closes them. Without
    any teams the two built-in ones are served. `state_directory` is where conversations and files are kept: the
    server's own by default. `observer` is told of requests, runs and model calls.

    Raises `ConfigError` with one line per mistake. Starting the app raises it for mistakes that show only then, such as
    modules that cannot be imported and databases that do not answer.
    """
    from aiostream_server.embed.app import create  # loads the agents' libraries

    return create(teams, config, models or {}, state_directory, observer)


def __getattr__(name: str) -> object:
    """Import a public name that loads the agents' libraries when it is first used."""
    if (module := _IMPORTED_FROM.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"aiostream_server.{module}"), name)
