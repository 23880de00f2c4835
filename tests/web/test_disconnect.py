"""A client that goes away is noticed at once, in whatever phase and in whatever way it goes; nothing of it is left.

On both event loops: they treat a closing peer differently, and users run uvloop.
"""

import asyncio
import functools
import inspect
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.service.sockets import listen
from tests.kit import sample_teams
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, ask, asking, config_for, sample_team, serving, until_idle
from tests.web.bare_client import WAYS, Leaving, connected, leave, no_longer_than, question, until, until_held

_NOTICED_S: Final = 0.25
_FLOOD: Final = ScriptedAnswer(*["x" * 4_000] * 5_000)


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run the test once on each event loop."""

    def run(loop_factory: Callable[[], asyncio.AbstractEventLoop], **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(test(**arguments))

    signature = inspect.signature(test)
    factory = inspect.Parameter("loop_factory", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wrapped = functools.update_wrapper(run, test)
    del wrapped.__wrapped__  # what pytest would run instead
    wrapped.__signature__ = signature.replace(parameters=[factory, *signature.parameters.values()])  # type: ignore[attr-defined]
    loops = pytest.mark.parametrize(
        "loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
    )
    marked: Callable[..., None] = loops(wrapped)
    return marked


def _tasks() -> int:
    """How many, without those of connections: the provider's are kept for the next question."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return len(names) - names.count("RequestHandler.start")


def _connections(server: Server) -> int:
    assert isinstance(server.runner.server, web.Server)
    return len(server.runner.server.connections)


async def _leaves_and_is_noticed(
    server: Server, provider: ScriptedProvider, client: socket.socket, way: Leaving, tasks_before: int
) -> None:
    """The client leaves: its viewer is gone, then the provider's connection and the run; then its slot is free."""
    async with no_longer_than(_NOTICED_S):
        leave(client, way)
        await until(lambda: server.state.registry.viewers == 0)
    exchange = provider.exchanges[0]
    if not exchange.complete:
        await until(exchange.closed.is_set)
    await until_idle(server)
    await until(lambda: _tasks() <= tasks_before and not _connections(server))
    provider.script(ScriptedAnswer("again"))
    assert "again" in (await ask(server.url, "hi", model="solo")).text  # max_runs = 1


def one_slot(provider: ScriptedProvider, *teams: str, **sections: Any) -> Config:
    sections.setdefault("limits", {"max_runs": 1})
    return config_for(provider.base_url, *(sample_team(team) for team in {"solo", *teams}), **sections)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    ("script", "sent"),
    [(ScriptedAnswer("late", before_s=30), 0), (ScriptedAnswer("a", Stall()), 1)],
    ids=["before the first byte", "between tokens"],
)
@on_both_loops
async def test_noticed_while_the_model_is_silent(
    tmp_path: Path, script: ScriptedAnswer, sent: int, stream: bool, way: Leaving
) -> None:
    async with ScriptedProvider() as provider, serving(one_slot(provider), tmp_path) as server:
        provider.script(script)
        tasks_before = _tasks()
        async with connected(server.url, question("solo", stream=stream)) as client:
            exchange = await provider.request()
            await exchange.sent(sent)
            await _leaves_and_is_noticed(server, provider, client, way, tasks_before)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@on_both_loops
async def test_noticed_during_a_tool_call(tmp_path: Path, stream: bool, way: Leaving) -> None:
    sample_teams.SLOW_TOOL_STARTED.clear()
    async with ScriptedProvider() as provider, serving(one_slot(provider, "with_slow_tool"), tmp_path) as server:
        provider.script(ScriptedAnswer(Call("slow")))
        tasks_before = _tasks()
        async with connected(server.url, question("with-slow-tool", stream=stream)) as client:
            await until(sample_teams.SLOW_TOOL_STARTED.is_set)
            await _leaves_and_is_noticed(server, provider, client, way, tasks_before)


@pytest.mark.parametrize("way", WAYS)
@on_both_loops
async def test_noticed_during_a_write_that_waits(tmp_path: Path, way: Leaving) -> None:
    """The client does not read, and then it is gone. A transport that holds bytes does not tell of a half-close."""
    async with ScriptedProvider() as provider, serving(one_slot(provider), tmp_path) as server:
        provider.script(_FLOOD)
        tasks_before = _tasks()
        async with connected(server.url, question("solo", stream=True)) as client:
            await provider.request()
            await until_held(provider)
            await _leaves_and_is_noticed(server, provider, client, way, tasks_before)


@pytest.mark.parametrize("way", WAYS)
@on_both_loops
async def test_noticed_when_it_stops_reading_just_before_it_would_be_waited_for(tmp_path: Path, way: Leaving) -> None:
    """The kernel has room for what was written, so no write waits for the client; then the provider falls silent."""
    async with ScriptedProvider() as provider, serving(one_slot(provider), tmp_path) as server:
        provider.script(ScriptedAnswer(*["x" * 4_000] * 20, Stall()))
        tasks_before = _tasks()
        async with connected(server.url, question("solo", stream=True)) as client:
            exchange = await provider.request()
            await exchange.sent(20)
            await asyncio.sleep(0.1)
            await _leaves_and_is_noticed(server, provider, client, way, tasks_before)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@on_both_loops
async def test_noticed_in_the_queue(tmp_path: Path, stream: bool, way: Leaving) -> None:
    """Its place is free at once, and its question never reaches the provider."""
    limits = {"max_runs": 1, "queue_size": 1, "queue_timeout_s": 30.0}
    async with ScriptedProvider() as provider, serving(one_slot(provider, limits=limits), tmp_path) as server:
        provider.script(ScriptedAnswer("a", Stall()))
        async with asking(server.url, "hi", model="solo") as first:
            await anext(first.pieces())
            async with connected(server.url, question("solo", stream=stream)) as client:
                await until(lambda: server.state.registry.queued == 1)
                async with no_longer_than(_NOTICED_S):
                    leave(client, way)
                    await until(lambda: server.state.registry.queued == 0)
        await until_idle(server)
        assert len(provider.exchanges) == 1


def test_accepted_sockets_inherit_what_bounds_a_client_that_vanished() -> None:
    """Within 30 s: nothing under way to it, a probe and the user timeout; something under way, a heartbeat and it."""
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle_s = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            interval_s = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            user_timeout_s = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000
            assert max(idle_s + interval_s, user_timeout_s) + interval_s <= 30
            assert idle_s + user_timeout_s <= 30
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 64 * 1024  # the kernel doubles it
