"""The app factory: which path leads where, and what is open while the app runs."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.observe.observer import NO_OBSERVER, Observer
from aiostream_server.protocols.ag_ui import AG_UI
from aiostream_server.protocols.ai_sdk import AI_SDK
from aiostream_server.protocols.chat import CHAT
from aiostream_server.protocols.runs import RUNS
from aiostream_server.web.a2a import add_a2a_routes
from aiostream_server.web.ag_ui import add_ag_ui_routes
from aiostream_server.web.ai_sdk import add_ai_sdk_routes
from aiostream_server.web.asking import ask
from aiostream_server.web.cors import allow_origins
from aiostream_server.web.early_refusal import LOOKS, new_looks
from aiostream_server.web.files import get_file
from aiostream_server.web.hangups import HANG_UPS, HangUps, close_when_last, watch_hang_ups
from aiostream_server.web.health import METRICS_PATHS, healthz, read_metrics, readyz
from aiostream_server.web.http_errors import answer_by_ourselves
from aiostream_server.web.mcp import add_mcp_routes
from aiostream_server.web.middlewares import (
    OBSERVER,
    REFUSALS,
    add_request_id,
    bind_request_id,
    observe_requests,
    render_errors,
    report_stream,
)
from aiostream_server.web.models import get_model, list_models, list_teams
from aiostream_server.web.openapi import document
from aiostream_server.web.page import add_page
from aiostream_server.web.responses import add_response_routes
from aiostream_server.web.runs import cancel_run, get_events, get_run, list_runs
from aiostream_server.web.state import STATE, OpenState, hold_state
from aiostream_server.web.traffic import TRAFFIC, Traffic, close_when_draining, count_requests


def create_app(config: Config, open_state: OpenState, *, observer: Observer = NO_OBSERVER) -> web.Application:
    """Wire one server, watched by `observer`. `open_state` is entered at startup and left at cleanup."""

    async def state_ctx(app: web.Application) -> AsyncIterator[None]:
        async with open_state(app) as app[STATE]:
            yield

    app = web.Application(
        middlewares=[count_requests, bind_request_id, observe_requests, render_errors, hold_state],
        client_max_size=config.server.max_body_bytes,
    )
    app[OBSERVER] = observer
    app[TRAFFIC] = Traffic()
    app[LOOKS] = new_looks()
    app[HANG_UPS] = HangUps(app[TRAFFIC])
    app.cleanup_ctx.extend((state_ctx, watch_hang_ups))
    app.on_response_prepare.extend((add_request_id, close_when_draining, close_when_last, report_stream))
    answer_by_ourselves(app)
    allow_origins(app, config.server.cors_origins)
    app.on_shutdown.append(_end_runs)
    _add_routes(app)
    return app


async def _end_runs(app: web.Application) -> None:
    """Before connections are closed, so that every stream is ended properly."""
    app[TRAFFIC].drain(bodies_within_s=0.0)
    await app[STATE].registry.close()


async def _openapi(_: web.Request) -> web.Response:
    # In a thread: pydantic derives the schemas in 20 ms, when the document is asked for first.
    return web.json_response(await asyncio.to_thread(document))


def _add_routes(app: web.Application) -> None:
    """Each under `/v1` and `/api/v1`; a base URL saved with a slash at its end gives a double one.

    Azure's clients ask below `/openai`: with the model in the path, or as OpenAI's do.
    """
    app[REFUSALS] = {}
    create_completion, create_run = ask(CHAT), ask(RUNS)
    app.router.add_post("/openai/deployments/{model}/chat/completions", create_completion)
    app.router.add_get("/openai/models", list_models)
    for base in ("/v1/", "/v1//", "/api/v1/", "/api/v1//", "/openai/v1/", "/openai/v1//"):
        app.router.add_post(f"{base}chat/completions", create_completion)
        app.router.add_get(f"{base}models", list_models)
        app.router.add_get(f"{base}models/{{model}}", get_model)
        app.router.add_get(f"{base}files/{{file_id}}", get_file)
        for route in (
            app.router.add_post(f"{base}runs", create_run),
            app.router.add_get(f"{base}teams", list_teams),
            app.router.add_get(f"{base}runs", list_runs),
            app.router.add_get(f"{base}runs/{{run_id}}", get_run),
            app.router.add_get(f"{base}runs/{{run_id}}/events", get_events, allow_head=False),  # may take long to end
            app.router.add_post(f"{base}runs/{{run_id}}/cancel", cancel_run),
        ):
            app[REFUSALS][route] = RUNS.refusal
        app[REFUSALS].update(dict.fromkeys(add_ai_sdk_routes(app, base), AI_SDK.refusal))
        app[REFUSALS].update(dict.fromkeys(add_ag_ui_routes(app, base), AG_UI.refusal))
        add_response_routes(app, base)
    add_a2a_routes(app)
    add_mcp_routes(app)
    for prefix in ("", "/api"):
        app.router.add_get(f"{prefix}/healthz", healthz)
        app.router.add_get(f"{prefix}/readyz", readyz)
        app.router.add_get(f"{prefix}/openapi.json", _openapi)
    add_page(app)
    for path in METRICS_PATHS:
        app.router.add_get(path, read_metrics, allow_head=False)
