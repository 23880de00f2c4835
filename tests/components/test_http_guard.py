"""HTTP tools of components without trust: no form of an address, and no answer of the DNS, lets them into a network."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from autogen_core import CancellationToken
from autogen_ext.tools.http import HttpTool
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.errors import ToolFailed
from aiostream_server.models.registry import open_models
from aiostream_server.teams.components.hosts import is_public, local_host_problem
from aiostream_server.teams.components.http_guard import PublicTransport, guard_http_tools
from aiostream_server.teams.components.loading import load
from aiostream_server.teams.components.policy import find_problems
from tests.components.making import assistant, component, replay, workbench, written

SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}, "q": {"type": "string"}}, "required": ["id"]}
INSIDE = [
    *(
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST.",
    ),
    *("app.localhost", "printer.local", "db.internal", "10.0.0.5", "172.16.3.4", "192.168.1.1", "169.254.169.254"),
    *(
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "[::1]",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
    ),
    *(
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "１２７.0.0.1",
        "metadata.google.internal",
    ),
]
OUTSIDE = [
    "8.8.8.8",
    "example.com",
    "h",
    "1.1.1.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "134744072",
]


def http_tool(host: str) -> dict[str, Any]:
    settings = {"name": "look", "description": "looks", "host": host, "port": 80, "headers": {}, "json_schema": SCHEMA}
    return component("autogen_ext.tools.http.HttpTool", "tool", **settings)


def team_with(tool: dict[str, Any]) -> dict[str, Any]:
    return assistant("A", replay("done"), workbench=[workbench(tool)])


@pytest.mark.parametrize("host", INSIDE)
def test_a_host_inside_is_refused_when_the_file_is_loaded(host: str) -> None:
    (problem,) = find_problems(team_with(http_tool(host)))
    assert 'agent "A"' in problem
    assert "HttpTool asks " in problem
    assert "[components] hosts" in problem
    assert find_problems(team_with(http_tool(host)), trusted=True) == []
    assert find_problems(team_with(http_tool(host)), hosts=[host]) == []


@pytest.mark.parametrize("host", OUTSIDE)
def test_a_host_outside_needs_no_trust(host: str) -> None:
    assert find_problems(team_with(http_tool(host))) == []


@given(st.ip_addresses(v=4))
def test_an_embedded_address_counts_as_itself(address: ipaddress.IPv4Address) -> None:
    expected = address.is_global and not address.is_multicast
    assert is_public(address) == expected
    number = int(address)
    for form in (str(number), hex(number), f"::ffff:{address}", f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}"):
        assert (local_host_problem(form) is None) == expected, form


@pytest.fixture
async def inside() -> AsyncIterator[int]:
    """The port of a service on this machine that must not be asked; it redirects, too."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/away":
            raise web.HTTPFound("http://example.com/")
        return web.json_response({"secret": True, "path": request.path, "query": dict(request.query)})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def called(tool: HttpTool, **arguments: Any) -> Any:
    return await tool.run_json(arguments, CancellationToken())


def guarded(host: str, port: int, *allowed: str, **settings: Any) -> HttpTool:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.replay import ReplayChatCompletionClient

    tool = HttpTool(name="look", host=host, port=port, json_schema=SCHEMA, method="GET", **settings)
    model: Any = ReplayChatCompletionClient(["x"], model_info=INFO)
    guard_http_tools(AssistantAgent("A", model, tools=[tool]), allowed)
    return tool


INFO: Any = {
    "vision": False,
    "function_calling": True,
    "json_output": False,
    "structured_output": False,
    "family": "unknown",
}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1"])
async def test_a_call_that_ends_inside_is_refused_and_names_no_address(host: str, inside: int) -> None:
    with pytest.raises(ToolFailed) as refused:
        await called(guarded(host, inside), id="x")
    assert "no public address" in str(refused.value)
    assert "127.0.0.1" not in str(refused.value)


async def test_a_name_that_resolves_inside_is_refused(inside: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of several addresses: which one is asked would be chance."""
    loop = asyncio.get_running_loop()
    answers = ["8.8.8.8", "10.0.0.1"]

    async def resolve(host: str, *_: Any, **__: Any) -> Any:
        assert host == "rebound.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answers]

    monkeypatch.setattr(loop, "getaddrinfo", resolve, raising=False)
    with pytest.raises(ToolFailed, match="no public address"):
        await called(guarded("rebound.example", inside), id="x")


async def test_a_listed_host_is_asked_and_the_arguments_arrive(inside: int) -> None:
    tool = guarded("localhost", inside, "LOCALHOST", path="/things/{id}", return_type="json")
    assert await called(tool, id="7", q="a b") == {"secret": True, "path": "/things/7", "query": {"q": "a b"}}


async def test_a_redirect_is_not_followed(inside: int) -> None:
    with pytest.raises(ToolFailed, match="redirects"):
        await called(guarded("localhost", inside, "localhost", path="/away"), id="x")


async def test_the_request_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name for the certificate and for virtual hosts."""
    sent: list[httpx.Request] = []

    async def resolve(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0))]

    class Recording(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return httpx.Response(200, text="ok")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    transport = PublicTransport()
    monkeypatch.setattr(transport, "_inner", Recording())
    async with httpx.AsyncClient(transport=transport) as client:
        await client.get("https://api.example.com/x")
    assert str(sent[0].url) == "https://8.8.8.8/x"
    assert sent[0].headers["host"] == "api.example.com"
    assert sent[0].extensions["sni_hostname"] == "api.example.com"


@pytest.mark.parametrize(
    ("trusted", "hosts", "is_guarded"), [(False, (), True), (True, (), False), (False, ("x",), True)]
)
async def test_every_team_of_a_file_without_trust_is_guarded(
    trusted: bool, hosts: tuple[str, ...], is_guarded: bool, tmp_path: Path
) -> None:
    path = written(tmp_path / "team.json", team_with(http_tool("example.com")))
    async with open_models({}) as models:
        build, sample = load(path, models, trusted=trusted, hosts=hosts)
        for team in (sample, build(None)):
            (bench,) = vars(team)["_workbench"]
            (tool,) = bench._tools
            assert ("run" in vars(tool)) == is_guarded
