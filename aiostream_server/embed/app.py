"""Makes the app of `create_app`: the program's teams and models, the configuration, metrics and traces."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from aiohttp import web
from autogen_core.models import ChatCompletionClient

from aiostream_server.config.environment import state_directory as usual_state_directory
from aiostream_server.config.load import Beside, config_of, load_config
from aiostream_server.config.model import Config
from aiostream_server.errors import ConfigError
from aiostream_server.observe.observer import Observer, fan_out
from aiostream_server.service.composition import compose
from aiostream_server.service.event_loop import LagMeter, watch_load
from aiostream_server.service.logging import follow_the_programs_logging
from aiostream_server.service.metrics import MetricsExport
from aiostream_server.service.tracing import Traces
from aiostream_server.teams.factories import factory_problem
from aiostream_server.teams.registration import Registration, registration_of, team_id_of
from aiostream_server.teams.served import EmbeddedTeams, ServedTeam, registered_team
from aiostream_server.web.health import LOOP_LAG
from aiostream_server.web.middlewares import refuse_other_machines
from aiostream_server.web.state import STATE

Configuration: TypeAlias = Config | Mapping[str, Any] | Path | str | None


def create(
    teams: Sequence[Callable[..., object]],
    config: Configuration,
    models: Mapping[str, ChatCompletionClient],
    state_directory: Path | str | None,
    observer: Observer | None,
) -> web.Application:
    """As `aiostream_server.embed.create_app` says."""
    follow_the_programs_logging()
    embedded, problems = _embedded(teams, models)
    try:
        settings = _read_config(config, Beside(frozenset(models), has_teams=bool(teams)))
    except ConfigError as exc:
        raise ConfigError([*problems, *exc.problems]) from exc
    if problems:
        raise ConfigError(problems)
    traces, counting = Traces.of(settings.tracing), MetricsExport.of(settings)
    told = () if observer is None else (observer,)
    app = compose(
        settings,
        state_directory=usual_state_directory(os.environ) if state_directory is None else Path(state_directory),
        observer=fan_out(*told, *counting.observers, *traces.observers),
        embedded=embedded,
    )
    counting.mount(app)
    app.middlewares.append(refuse_other_machines)

    async def sending(_: web.Application) -> AsyncIterator[None]:
        async with traces.sending:
            yield

    async def watched(app: web.Application) -> AsyncIterator[None]:
        async with _vitals(app), counting.running(app):
            yield

    app.cleanup_ctx.insert(0, sending)
    app.cleanup_ctx.append(watched)
    return app


def _embedded(
    teams: Sequence[Callable[..., object]], models: Mapping[str, ChatCompletionClient]
) -> tuple[EmbeddedTeams, Sequence[str]]:
    """The program's teams and models, and a line for each mistake in them."""
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
            found.append(_registered(factory, f"teams[{number}]"))
        except ConfigError as exc:
            problems += exc.problems
    return EmbeddedTeams(found, models), problems


def _registered(factory: Callable[..., object], where: str) -> ServedTeam:
    """A function as a team, with or without `@team`.

    Raises `ConfigError` with a line for each mistake, which begins with `where`.
    """
    if problem := factory_problem(factory):
        raise ConfigError([f"{where} {problem}"])
    registration = registration_of(factory) or Registration()
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    team_id = team_id_of(name.rpartition(".")[2]) if registration.id is None else registration.id
    return registered_team(
        factory,
        registration,
        f"{where} ({team_id})",
        team_id=team_id,
        label=(str(factory.__module__), name),
        docstring=factory.__doc__,
    )


def _read_config(config: Configuration, beside: Beside) -> Config:
    if isinstance(config, Config):
        return config
    if config is None or isinstance(config, Mapping):
        return config_of(config or {}, os.environ, beside)
    return load_config(Path(config), os.environ, beside)


@asynccontextmanager
async def _vitals(app: web.Application) -> AsyncIterator[None]:
    """Measure the lag of the program's event loop, for `/readyz`, the metrics and the log."""
    lag = app[LOOP_LAG] = LagMeter()
    watching = asyncio.create_task(watch_load(lag, app[STATE].registry), name="vitals")
    try:
        yield
    finally:
        watching.cancel()
