"""`create_app`: the server's app, with what a program brings along, and what measures it while it runs."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from aiohttp import web
from autogen_core.models import ChatCompletionClient

from aiostream_server.config.load import Beside, config_of, load_config
from aiostream_server.config.model import Config
from aiostream_server.config.state import state_directory as usual_state_directory
from aiostream_server.embed.teams import registered
from aiostream_server.errors import ConfigError
from aiostream_server.observe.observer import Observer
from aiostream_server.observe.several import together
from aiostream_server.service.composition import compose
from aiostream_server.service.logging import follow_the_programs_logging
from aiostream_server.service.metrics import Counting
from aiostream_server.service.tracing import Traces
from aiostream_server.service.vitals import LagMeter, watch_vitals
from aiostream_server.teams.served import EmbeddedTeams, ServedTeam
from aiostream_server.web.health import LOOP_LAG
from aiostream_server.web.middlewares import refuse_other_machines
from aiostream_server.web.state import STATE

Configuration: TypeAlias = Config | Mapping[str, Any] | Path | str | None


def wire(
    teams: Sequence[Callable[..., object]],
    config: Configuration,
    models: Mapping[str, ChatCompletionClient],
    state_directory: Path | str | None,
    observer: Observer | None,
) -> web.Application:
    """As `aiostream_server.embed.create_app` says."""
    follow_the_programs_logging()
    brought, problems = _brought(teams, models)
    try:
        whole = _whole(config, Beside(frozenset(models), has_teams=bool(teams)))
    except ConfigError as exc:
        raise ConfigError([*problems, *exc.problems]) from exc
    if problems:
        raise ConfigError(problems)
    traces, counting = Traces.of(whole.tracing), Counting.of(whole, None)
    told = () if observer is None else (observer,)
    app = compose(
        whole,
        state_directory=usual_state_directory(os.environ) if state_directory is None else Path(state_directory),
        observer=together(*told, *counting.observers, *traces.observers),
        embedded=brought,
    )
    counting.show_in(app)
    app.middlewares.append(refuse_other_machines)

    async def sending(_: web.Application) -> AsyncIterator[None]:
        async with traces.sending:
            yield

    async def watched(app: web.Application) -> AsyncIterator[None]:
        async with _vitals(app), counting.going_on(app):
            yield

    app.cleanup_ctx.insert(0, sending)
    app.cleanup_ctx.append(watched)
    return app


def _brought(
    teams: Sequence[Callable[..., object]], models: Mapping[str, ChatCompletionClient]
) -> tuple[EmbeddedTeams, Sequence[str]]:
    """And whatever is wrong with any of them."""
    problems = [
        f"models[{name!r}]: expected an AutoGen ChatCompletionClient, got {type(client).__name__}"
        for name, client in models.items()
        if not isinstance(client, ChatCompletionClient)
    ]
    if callable(teams) or isinstance(teams, str):
        return EmbeddedTeams(), [*problems, "teams: expected a list of functions"]
    found: list[ServedTeam] = []
    for number, factory in enumerate(teams):
        try:
            found.append(registered(factory, f"teams[{number}]"))
        except ConfigError as exc:
            problems += exc.problems
    return EmbeddedTeams(found, models), problems


def _whole(config: Configuration, beside: Beside) -> Config:
    if isinstance(config, Config):
        return config
    if config is None or isinstance(config, Mapping):
        return config_of(config or {}, os.environ, beside)
    return load_config(Path(config), os.environ, beside)


@asynccontextmanager
async def _vitals(app: web.Application) -> AsyncIterator[None]:
    """How late the program's event loop is: for `/readyz`, the metrics and the log."""
    lag = app[LOOP_LAG] = LagMeter()
    watching = asyncio.create_task(watch_vitals(lag, app[STATE].registry), name="vitals")
    try:
        yield
    finally:
        watching.cancel()
