"""A run leaves nothing for the garbage collector, however it ends: reference counts free all of it at once.

Everything runs in one process, on uvloop: the transports of asyncio's own loop are reference cycles. Client and
provider are plain protocols, without garbage of their own.
"""

import asyncio
import gc
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias, cast

import pytest
import uvloop
from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent
from autogen_agentchat.base import Handoff
from autogen_agentchat.conditions import TextMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_agentchat.tools import AgentTool, TeamTool

from aiostream_server.config.model import LimitsConfig, TeamConfig
from aiostream_server.errors import forget_traceback
from aiostream_server.teams.context import TeamContext
from tests.kit.serving import Server, config_for, serving, until_idle
from tests.kit.waiting import DEADLINE_S

pytestmark = pytest.mark.usefixtures("earlier_tests_are_frozen")

_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_REFUSAL: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n"
    b'{"error":{"message":"refused"}}'
)
_END: Final = b"\r\n0\r\n\r\n"
_RUNS: Final = 2

Said: TypeAlias = str | Sequence[tuple[str, str]]
"""An agent's words, or its tool calls: names and arguments."""
Answering: TypeAlias = Callable[[Mapping[str, Any]], Said]
Leaving: TypeAlias = Literal["", "disconnect", "cancel"]


async def add(a: int, b: int) -> str:
    return str(a + b)


def repeat(times: int) -> str:
    return "x" * times


async def fail(why: str) -> str:
    try:
        raise ValueError(why)
    except ValueError as exc:
        raise LookupError("behind it") from exc


async def end(status: int) -> str:
    raise SystemExit(status)


async def wait(seconds: int) -> str:
    await asyncio.sleep(seconds)
    return ""


TOOLS: Final = (add, repeat, fail, end, wait)


def _agent(context: TeamContext, name: str = "A", **settings: Any) -> AssistantAgent:
    return AssistantAgent(name, context.model(), system_message="s", reflect_on_tool_use=True, **settings)


def lone(context: TeamContext) -> AssistantAgent:
    return _agent(context, tools=list(TOOLS), max_tool_iterations=3)


def group(context: TeamContext) -> RoundRobinGroupChat:
    return RoundRobinGroupChat([_agent(context, "A", tools=[add]), _agent(context, "B")], max_turns=2)


def with_agents_as_tools(context: TeamContext) -> AssistantAgent:
    team = RoundRobinGroupChat([_agent(context, "Inner")], max_turns=1)
    return _agent(context, tools=[AgentTool(_agent(context, "Helper")), TeamTool(team, "helpers", "help")])


def swarm(context: TeamContext) -> Swarm:
    agents = [_agent(context, "A", handoffs=[Handoff(target="B")]), _agent(context, "B", handoffs=["A"])]
    return Swarm(list(agents), termination_condition=TextMessageTermination("B"))


def selected(context: TeamContext) -> SelectorGroupChat:
    return SelectorGroupChat([_agent(context, "A"), _agent(context, "B")], context.model(), max_turns=2)


def society(context: TeamContext) -> RoundRobinGroupChat:
    inner = RoundRobinGroupChat([_agent(context, "Inner")], max_turns=1)
    return RoundRobinGroupChat([SocietyOfMindAgent("S", inner, context.model())], max_turns=1)


TEAMS: Final = (lone, group, with_agents_as_tools, swarm, selected, society)


@dataclass(frozen=True, slots=True)
class Case:
    """A team, what its models say, how the client leaves, and what the client has seen by then. `fields` are more of
    the request's."""

    team: Callable[[TeamContext], object]
    answering: Answering
    seen: str
    leaving: Leaving = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def calling(*calls: tuple[str, str]) -> Answering:
    """The calls, and words once there are results; words of agents without tools."""

    def answer(body: Mapping[str, Any]) -> Said:
        has_results = any(message["role"] == "tool" for message in body["messages"])
        return "it is done" if has_results or not body.get("tools") else calls

    return answer


_TOOL: Final = {"tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]}
_CALLED: Final = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
_RESULT: Final = {
    **_TOOL,
    "messages": [
        {"role": "user", "content": "add"},
        {"role": "assistant", "content": None, "tool_calls": [_CALLED]},
        {"role": "tool", "tool_call_id": "c", "content": "seen"},
    ],
}

CASES: Final[Mapping[str, Case]] = {
    "words": Case(lone, lambda _: "it is done", "done"),
    "a tool": Case(lone, calling(("add", '{"a": 1, "b": 2}')), "done"),
    "a tool in a thread": Case(lone, calling(("repeat", '{"times": 3}')), "done"),
    "two calls": Case(lone, calling(("add", '{"a": 1, "b": 2}'), ("repeat", '{"times": 3}')), "done"),
    "a tool that fails": Case(lone, calling(("fail", '{"why": "no"}')), "done"),
    "one of two fails": Case(lone, calling(("fail", '{"why": "no"}'), ("add", '{"a": 1, "b": 2}')), "done"),
    "a tool that exits": Case(lone, calling(("end", '{"status": 3}')), "done"),
    "wrong arguments": Case(lone, calling(("add", '{"a": "x"}')), "done"),
    "broken arguments": Case(lone, calling(("add", '{"a')), "done"),
    "an unknown tool": Case(lone, calling(("none", "{}")), "done"),
    "a group": Case(group, calling(("add", '{"a": 1, "b": 2}')), "done"),
    "an agent as a tool": Case(with_agents_as_tools, calling(("Helper", '{"task": "t"}')), "done"),
    "a team as a tool": Case(with_agents_as_tools, calling(("helpers", '{"task": "t"}')), "done"),
    "a tool of the client": Case(lone, calling(("look", "{}")), '"tool_calls"', fields=_TOOL),
    "a tool of the client in a group": Case(group, calling(("look", "{}")), '"tool_calls"', fields=_TOOL),
    "a result of the client": Case(lone, calling(("look", "{}")), "done", fields=_RESULT),
    "a result of the client in a group": Case(group, calling(("look", "{}")), "done", fields=_RESULT),
    "a handoff": Case(swarm, calling(("transfer_to_b", "{}")), "done"),
    "a selection": Case(selected, lambda _: "A", "A"),
    "a society": Case(society, lambda _: "it is done", "done"),
    "refused": Case(lone, lambda _: "REFUSED", "model_failed"),
    "refused in a group": Case(group, lambda _: "REFUSED", "model_failed"),
    "broken off": Case(lone, lambda _: "BROKEN OFF", "model_failed"),
    "broken off in a group": Case(group, lambda _: "BROKEN OFF", "model_failed"),
    "cancelled": Case(lone, lambda _: "WAITING", "WAITING", "cancel"),
    "cancelled in a group": Case(group, lambda _: "WAITING", "WAITING", "cancel"),
    "cancelled in a tool": Case(lone, calling(("wait", '{"seconds": 60}')), "seconds", "cancel"),
    "the client leaves": Case(lone, lambda _: "WAITING", "WAITING", "disconnect"),
    "the client leaves a group": Case(group, lambda _: "WAITING", "WAITING", "disconnect"),
    "the client leaves a tool": Case(lone, calling(("wait", '{"seconds": 60}')), "seconds", "disconnect"),
}


class Provider(asyncio.Protocol):
    """One connection to the models. `answering` is that of the case that runs."""

    answering: Answering

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            self._received = b""
            self._answer(type(self).answering(json.loads(body)))

    def _answer(self, said: Said) -> None:
        write = self._transport.write
        if said == "REFUSED":
            write(_REFUSAL)
            return
        if isinstance(said, str):
            write(_HEAD + b"".join(_chunk({"content": f"{word} "}) for word in said.split()))
            if said == "BROKEN OFF":
                asyncio.get_running_loop().call_later(0.001, self._transport.abort)
            if said in ("BROKEN OFF", "WAITING"):
                return
            write(_chunk({}, "stop"))
        else:
            functions = [
                {"index": place, "id": f"call-{place}", "function": {"name": name, "arguments": arguments}}
                for place, (name, arguments) in enumerate(said)
            ]
            write(_HEAD + _chunk({"tool_calls": functions}) + _chunk({}, "tool_calls"))
        write(b"e\r\ndata: [DONE]\n\n" + _END)


def _chunk(delta: Mapping[str, Any], reason: str | None = None) -> bytes:
    event = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
    line = f"data: {json.dumps(event)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(line), line)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Server]:
    loop = asyncio.get_running_loop()
    provider = await loop.create_server(Provider, "127.0.0.1", 0)
    teams = [
        TeamConfig(id=team.__name__, factory=f"{__name__}:{team.__name__}", client_tools=team in (lone, group))
        for team in TEAMS
    ]
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}/v1"
    try:
        async with serving(config_for(url, *teams, limits=LimitsConfig(retention_s=0)), folder) as server:
            yield server
    finally:
        provider.close()


class Asking:
    """One connection to the server, which is kept unless the client leaves."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def ask(self, case: Case) -> str:
        asked: Mapping[str, Any] = {"messages": [{"role": "user", "content": "add"}], **case.fields}
        question = {"model": case.team.__name__, "stream": True, **asked}
        self._streams = reader, writer = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_post("/v1/chat/completions", question))
        answer, leaving = "", case.leaving
        while not answer.endswith(_END.decode()):
            data = await reader.read(65_536)
            assert data, f"the connection ended after {answer}"
            answer += data.decode()
            if leaving and case.seen in answer and "\r\n\r\n" in answer:
                if leaving == "disconnect":
                    self.close()
                    return answer
                leaving = ""
                run = next(line for line in answer.split("\r\n") if line.lower().startswith("x-run-id"))
                await self._cancel(run.partition(": ")[2])
        return answer

    async def _cancel(self, run: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_post(f"/v1/runs/{run}/cancel", {}, "Connection: close"))
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def _post(path: str, body: Mapping[str, Any], *headers: str) -> bytes:
    content = json.dumps(body)
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", content]).encode()


@contextmanager
def garbage() -> Iterator[Counter[str]]:
    """What only the collector frees of what the block has left, by type."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found.update(type(thing).__qualname__ for thing in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def left_by(case: Case, server: Server) -> Counter[str]:
    Provider.answering = staticmethod(case.answering)
    async with asyncio.timeout(DEADLINE_S), Asking(int(server.url.rpartition(":")[2])) as asking:
        for _ in range(2):  # caches fill, connections open
            assert case.seen in await asking.ask(case)
        await until_idle(server)
        await asyncio.sleep(0.02)  # the last callbacks
        with garbage() as found:
            for _ in range(_RUNS):
                await asking.ask(case)
            await until_idle(server)
            await asyncio.sleep(0.02)
    return found


def test_runs_leave_no_garbage(tmp_path: Path) -> None:
    async def leave() -> dict[str, Counter[str]]:
        async with served(tmp_path) as server:
            return {name: found for name, case in CASES.items() if (found := await left_by(case, server))}

    assert uvloop.run(leave()) == {}


def test_the_measurement_finds_a_cycle() -> None:
    with garbage() as found:
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
    assert found == {"list": 1}


def test_a_traceback_that_is_cut_frees_its_frames() -> None:
    def failing() -> None:
        error: Exception | None = None
        try:
            raise ExceptionGroup("both", [ValueError("a")]) from LookupError("b")
        except ExceptionGroup as exc:
            error = exc
        forget_traceback(error)

    with garbage() as found:
        failing()
    assert found == {}


@pytest.mark.parametrize("reuse", [True, False])
def test_errors_that_are_their_own_context_are_cut(*, reuse: bool) -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first if reuse else None
    forget_traceback(first)
    assert first.__traceback__ is None
