"""The app factory: which path leads where, and what is open while the app runs."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.intake.keys import KeyRing
from aiostream_server.models.registry import open_models
from aiostream_server.routing.auxiliary.desk import AuxiliaryDesk
from aiostream_server.routing.candidates import Candidate
from aiostream_server.routing.router import Router
from aiostream_server.runs.recollection import Archive
from aiostream_server.runs.registry import Registry
from aiostream_server.runs.run import RunParts
from aiostream_server.store.conversations import open_conversations
from aiostream_server.teams.catalogue import load_catalogue
from aiostream_server.teams.databases import open_databases
from aiostream_server.tools.sql.database import Database
from aiostream_server.web.chat import complete_chat
from aiostream_server.web.cors import allow_origins
from aiostream_server.web.expiry import expiring
from aiostream_server.web.health import healthz, readyz
from aiostream_server.web.middlewares import add_request_id, bind_request_id, render_errors
from aiostream_server.web.models import get_model, list_models
from aiostream_server.web.openapi import openapi
from aiostream_server.web.runs import cancel_run, create_run, get_events, get_run, list_runs
from aiostream_server.web.state import STATE, ServerState
from aiostream_server.web.traffic import TRAFFIC, Traffic, close_when_draining, count_requests


def create_app(config: Config, *, state_directory: Path) -> web.Application:
    """Wire one server. Opens nothing until startup; what it opens it closes at cleanup.

    Raises `ConfigError` at startup for teams that cannot be served.
    """

    async def state_ctx(app: web.Application) -> AsyncIterator[None]:
        async with open_state(config, state_directory) as state:
            app[STATE] = state
            yield

    app = web.Application(
        middlewares=[count_requests, bind_request_id, render_errors], client_max_size=config.server.max_body_bytes
    )
    app[TRAFFIC] = Traffic()
    app.cleanup_ctx.append(state_ctx)
    app.on_response_prepare.extend((add_request_id, close_when_draining))
    allow_origins(app, config.server.cors_origins)
    app.on_shutdown.append(_end_runs)
    _add_routes(app)
    return app


@asynccontextmanager
async def open_state(config: Config, state_directory: Path) -> AsyncIterator[ServerState]:
    """Model clients, databases, conversations, teams, router: in the order in which they need each other."""
    async with (
        open_models(config.models) as models,
        open_databases(config, state_directory) as databases,
        open_conversations(config.conversations, state_directory) as conversations,
        expiring(conversations),
    ):
        catalogue = load_catalogue(config, models, databases)
        candidates = [
            Candidate(spec.id, spec.name, spec.config.description, spec.config.examples) for spec in catalogue
        ]
        client = None if config.routing.strategy == "rules" else models.client(config.routing.model)
        router = Router(candidates, config.routing, client, await _vocabulary(databases))
        archive = Archive(conversations, config.conversations.max_state_bytes)
        registry = Registry(RunParts(catalogue, router, config.limits, archive, config.conversations.concurrent_turns))
        small = None if config.auxiliary.model is None else models.client(config.auxiliary.model)
        desk = AuxiliaryDesk(config.auxiliary, small)
        yield ServerState(config, KeyRing.load(config.auth.keys_file), catalogue, registry, desk)


async def _vocabulary(databases: Mapping[str, Database]) -> Collection[str]:
    """The words of the schemas: a question that uses them is about data."""
    schemas = [await database.schema() for database in databases.values()]
    tables = [table for schema in schemas for table in schema.tables]
    return {name for table in tables for name in (table.name, *(column.name for column in table.columns))}


async def _end_runs(app: web.Application) -> None:
    """Before connections are closed: every stream gets its last words."""
    app[TRAFFIC].drain(bodies_within_s=0.0)
    await app[STATE].registry.close()


def _add_routes(app: web.Application) -> None:
    """Each under `/v1` and `/api/v1`; a base URL saved with a slash at its end gives a double one."""
    for base in ("/v1/", "/v1//", "/api/v1/", "/api/v1//"):
        app.router.add_post(f"{base}chat/completions", complete_chat)
        app.router.add_get(f"{base}models", list_models)
        app.router.add_get(f"{base}models/{{model}}", get_model)
        app.router.add_post(f"{base}runs", create_run)
        app.router.add_get(f"{base}runs", list_runs)
        app.router.add_get(f"{base}runs/{{run_id}}", get_run)
        app.router.add_get(f"{base}runs/{{run_id}}/events", get_events, allow_head=False)  # it may not end for long
        app.router.add_post(f"{base}runs/{{run_id}}/cancel", cancel_run)
    for prefix in ("", "/api"):
        app.router.add_get(f"{prefix}/healthz", healthz)
        app.router.add_get(f"{prefix}/readyz", readyz)
        app.router.add_get(f"{prefix}/openapi.json", openapi)
