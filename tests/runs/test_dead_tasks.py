"""A run ends at once when a task inside its team has died, whatever it died of, and nothing in it ends the server.

The idle timeout of these runs is longer than a test waits, so that only the death itself can end them.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import pytest
import structlog
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response, TerminationCondition
from autogen_agentchat.messages import BaseChatMessage, StopMessage, TextMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken, FunctionCall, SingleThreadedAgentRuntime
from autogen_core.memory import ListMemory, UpdateContextResult
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import CreateResult, RequestUsage
from autogen_core.tools import FunctionTool, StaticWorkbench, ToolResult
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.errors import TeamFailed
from aiostream_server.events import Error
from aiostream_server.events import ToolResult as ToolAnswered
from aiostream_server.runs.run import Run
from aiostream_server.teams.autogen_private import fresh_team
from aiostream_server.teams.autogen_private.contained import contain
from aiostream_server.teams.containment import contain_tasks
from tests.kit.waiting import DEADLINE_S
from tests.runs.running import Runs, events_of, runs_of

ABLE: Any = {
    "vision": False,
    "function_calling": True,
    "json_output": False,
    "structured_output": False,
    "family": "unknown",
}


class Odd(BaseException):
    """A user's own."""


ODD = (SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Odd(), BaseExceptionGroup("", [SystemExit(3)]))


def calling(*calls: tuple[str, str], then: str = "done") -> ReplayChatCompletionClient:
    """A model that makes these calls at once, and then says something."""
    made = [FunctionCall(f"c{number}", arguments, name) for number, (name, arguments) in enumerate(calls)]
    usage = RequestUsage(1, 1)
    first = CreateResult(finish_reason="function_calls", content=made, usage=usage, cached=False)
    return ReplayChatCompletionClient([first, then], model_info=ABLE)


def raising(error: BaseException) -> Callable[..., Any]:
    async def act() -> str:
        """Acts."""
        raise error

    return act


def raising_at_once(error: BaseException) -> Callable[..., Any]:
    """The same, in a thread."""

    def act() -> str:
        """Acts."""
        raise error

    return act


class BrokenWorkbench(StaticWorkbench):
    """Raises when a tool is called; `listing` also when tools are listed for the second time; `after` something."""

    def __init__(self, error: BaseException, *, listing: bool = False, after: asyncio.Event | None = None) -> None:
        super().__init__([FunctionTool(raising(LookupError()), name="act", description="acts")])
        self._error = error
        self._after = after
        self._listed = 0 if listing else -100

    async def list_tools(self) -> list[Any]:
        self._listed += 1
        if self._listed > 1:
            raise self._error
        return await super().list_tools()

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        if self._after is not None:
            await self._after.wait()
        raise self._error


class Speaking(BaseChatAgent):
    """Raises an error instead of speaking."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("Speaking", "speaks")
        self._error = error

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        raise self._error

    async def on_reset(self, cancellation_token: CancellationToken) -> None: ...


class OnItsOwn:
    """No team of AutoGen's."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def run_stream(self, *, task: Any) -> AsyncGenerator[Any, None]:
        yield TextMessage(content="hm", source="A")
        raise self._error


def runs(make: Callable[[], object]) -> Runs:
    return runs_of(make, idle_timeout_s=3 * DEADLINE_S, run_timeout_s=3 * DEADLINE_S)


async def ended(make: Callable[[], object]) -> Run:
    run = await runs(make).start()
    async with asyncio.timeout(DEADLINE_S):
        await run.wait()
    return run


def error_of(run: Run) -> str:
    (error,) = (event for event in events_of(run) if isinstance(event, Error))
    return error.message


def alone(agent: AssistantAgent) -> AssistantAgent:
    return agent


def grouped(agent: AssistantAgent) -> RoundRobinGroupChat:
    return RoundRobinGroupChat([agent], max_turns=1)


def doubly(agent: AssistantAgent) -> RoundRobinGroupChat:
    return RoundRobinGroupChat([RoundRobinGroupChat([agent], max_turns=1)], max_turns=1)


@pytest.mark.parametrize("place", [alone, grouped, doubly])
@pytest.mark.parametrize("listing", [True, False])
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (LookupError("no such row"), "LookupError: no such row"),
        (asyncio.CancelledError(), "the tool act was cancelled from inside"),
        (SystemExit(3), "the tool act tried to end the server (SystemExit)"),
        (KeyboardInterrupt(), "the tool act tried to end the server (KeyboardInterrupt)"),
        (GeneratorExit(), "the tool act raised GeneratorExit"),
    ],
)
async def test_a_workbench_that_dies(
    place: Callable[[AssistantAgent], Any], listing: bool, error: BaseException, says: str
) -> None:
    def make() -> Any:
        bench = BrokenWorkbench(error, listing=listing)
        return place(AssistantAgent("A", calling(("act", "{}")), workbench=bench))

    assert error_of(await ended(make)).endswith(says)


async def test_the_other_calls_of_the_answer_end_with_it() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        """Waits."""
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return ""

    def make() -> Any:
        slow = StaticWorkbench([FunctionTool(wait, name="wait", description="waits")])
        benches = [slow, BrokenWorkbench(LookupError("no"), after=started)]
        return grouped(AssistantAgent("A", calling(("wait", "{}"), ("act", "{}")), workbench=benches))

    assert "LookupError" in error_of(await ended(make))
    async with asyncio.timeout(DEADLINE_S):
        await cancelled.wait()


@pytest.mark.parametrize("is_in_a_thread", [True, False])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), *ODD])
async def test_a_tool_that_dies_has_failed_and_the_model_goes_on(error: BaseException, is_in_a_thread: bool) -> None:
    act = (raising_at_once if is_in_a_thread else raising)(error)

    def make() -> Any:
        return grouped(AssistantAgent("A", calling(("act", "{}")), tools=[act], reflect_on_tool_use=True))

    with structlog.testing.capture_logs() as logs:
        run = await ended(make)
    assert ("the tool act", type(error).__name__) in [(line.get("raised_by"), line.get("exception")) for line in logs]
    (answer,) = (event for event in events_of(run) if isinstance(event, ToolAnswered))
    assert answer.is_error
    assert "the tool act" in answer.content or not isinstance(error, asyncio.CancelledError | Odd | SystemExit)
    assert run.finished is not None
    assert run.finished.reason == "stop"


async def test_an_agent_inside_a_tool_that_dies() -> None:
    def make() -> Any:
        inner = AssistantAgent("Inner", calling(("act", "{}")), workbench=BrokenWorkbench(SystemExit(3)))
        outer = calling(("Inner", '{"task": "x"}'))
        return grouped(AssistantAgent("A", outer, tools=[AgentTool(inner)], reflect_on_tool_use=True))

    run = await ended(make)
    (answer,) = (event for event in events_of(run) if isinstance(event, ToolAnswered) and event.agent == "A")
    assert answer.is_error
    assert "tried to end the server" in answer.content


@pytest.mark.parametrize("runtime", ["ours", "autogen's"])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), LookupError("no"), *ODD])
async def test_an_agent_that_dies(runtime: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    if runtime == "autogen's":
        monkeypatch.setattr(fresh_team, "_is_traced", lambda _: True)
    built: list[RoundRobinGroupChat] = []

    def make() -> Any:
        built.append(RoundRobinGroupChat([Speaking(error)], max_turns=1))
        return built[0]

    run = await ended(make)
    assert run.finished is not None
    assert run.finished.reason == "error"
    used = type(vars(built[0])["_runtime"])
    assert (used is SingleThreadedAgentRuntime) == (runtime == "autogen's")


class Ending(TerminationCondition):
    def __init__(self, error: BaseException) -> None:
        self._error = error

    @property
    def terminated(self) -> bool:
        return False

    async def __call__(self, messages: Sequence[Any]) -> StopMessage | None:
        raise self._error

    async def reset(self) -> None: ...


class Remembering(ListMemory):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        raise self._error


class Answering(ReplayChatCompletionClient):
    def __init__(self, error: BaseException) -> None:
        super().__init__(["hi"], model_info=ABLE)
        self._error = error

    async def create(self, *_: Any, **__: Any) -> CreateResult:
        raise self._error


def chosen_by(model: ReplayChatCompletionClient, **functions: Any) -> SelectorGroupChat:
    agents: list[Any] = [AssistantAgent(name, calling()) for name in ("A", "B")]
    return SelectorGroupChat(agents, model, max_turns=1, **functions)


def ending_by(condition: TerminationCondition) -> RoundRobinGroupChat:
    return RoundRobinGroupChat([AssistantAgent("A", calling(("act", "{}")))], termination_condition=condition)


def raise_it(error: BaseException) -> Any:
    raise error


def awaiting(error: BaseException) -> Any:
    async def select(_: object) -> str:
        raise error

    return select


def with_edge(error: BaseException) -> GraphFlow:
    agents = [AssistantAgent(name, ReplayChatCompletionClient(["hi"])) for name in ("A", "B")]
    graph = DiGraphBuilder().add_node(agents[0]).add_node(agents[1])
    graph.add_edge(agents[0], agents[1], condition=lambda _: raise_it(error))
    return GraphFlow(graph.get_participants(), graph=graph.build())


PLACES: Mapping[str, tuple[str, Callable[[BaseException], Any]]] = {
    "a team": ("the team", OnItsOwn),
    "a factory": ("the team", raise_it),
    "an agent alone": ("the team", Speaking),
    "an agent in a team of a team": (
        "Speaking",
        lambda error: RoundRobinGroupChat([RoundRobinGroupChat([Speaking(error)], max_turns=1)], max_turns=1),
    ),
    "a function that selects": (
        "the choice of the next speaker",
        lambda error: chosen_by(calling(), selector_func=lambda _: raise_it(error)),
    ),
    "one that awaits": (
        "the choice of the next speaker",
        lambda error: chosen_by(calling(), selector_func=awaiting(error)),
    ),
    "one that names candidates": (
        "the choice of the next speaker",
        lambda error: chosen_by(calling(), candidate_func=lambda _: raise_it(error)),
    ),
    "a model that selects": ("SelectorGroupChatManager", lambda error: chosen_by(Answering(error))),
    "the edge of a graph": ("GraphManager", with_edge),
    "a termination": ("RoundRobinGroupChatManager", lambda error: ending_by(Ending(error))),
    "one of two terminations": (
        "RoundRobinGroupChatManager",
        lambda error: ending_by(Ending(error) | Ending(error)),
    ),
    "a model": ("A", lambda error: grouped(AssistantAgent("A", Answering(error)))),
    "a memory": ("A", lambda error: grouped(AssistantAgent("A", calling(), memory=[Remembering(error)]))),
}


@pytest.mark.parametrize("error", [*ODD, asyncio.CancelledError()])
@pytest.mark.parametrize("place", PLACES)
async def test_what_is_no_exception_fails_the_run_by_the_name_of_what_raised_it(
    place: str, error: BaseException
) -> None:
    """SystemExit ends the event loop, and AutoGen lets its team wait for ever for any other."""
    culprit, make = PLACES[place]
    with structlog.testing.capture_logs() as logs:
        said = error_of(await ended(lambda: make(error)))
    (line,) = {(line["raised_by"], line["exception"]) for line in logs if line["event"] == "base_exception_contained"}
    assert line == (culprit, type(error).__name__)
    assert f"{culprit} " in said
    assert type(error).__name__ in said or "was cancelled from inside" in said


@pytest.mark.parametrize("error", ODD)
async def test_a_task_that_a_tool_leaves_behind(error: BaseException) -> None:
    left: list[asyncio.Task[object]] = []

    async def act() -> str:
        """Acts."""
        left.append(asyncio.create_task(raising(error)()))
        return "acted"

    def make() -> Any:
        return grouped(AssistantAgent("A", calling(("act", "{}")), tools=[act], reflect_on_tool_use=True))

    run = await ended(make)
    assert run.finished is not None
    assert run.finished.reason == "stop"
    await asyncio.wait(left)
    assert str(left[0].exception()).startswith("the tool act ")


async def test_a_coroutine_that_is_closed_from_outside_ends_quietly() -> None:
    """GeneratorExit is what Python closes a coroutine with: that is no failure of the tool."""
    tool = FunctionTool(raising(LookupError()), name="act", description="acts")
    contain(AssistantAgent("A", calling(), tools=[tool]))

    async def wait(*_: Any) -> None:
        await asyncio.Event().wait()

    vars(tool)["run"] = wait
    call = tool.run_json({}, CancellationToken())

    async def begin() -> None:
        call.send(None)

    await asyncio.create_task(begin())
    call.close()


def test_a_loop_keeps_its_own_task_factory() -> None:
    made: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **named: Any) -> asyncio.Task[Any]:
        made.append(coro.__qualname__)
        return asyncio.Task(coro, loop=loop, **named)

    async def work() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        contain_tasks()
        cancelled = asyncio.create_task(asyncio.sleep(0))
        cancelled.cancel()  # before its first step: no warning that the inner coroutine was not awaited
        await asyncio.wait({cancelled})
        with pytest.raises(TeamFailed, match="the team raised GeneratorExit"):
            await asyncio.create_task(raising(GeneratorExit())())

    asyncio.run(work())
    assert made[:2] == ["sleep", "raising.<locals>.act"]


@pytest.mark.parametrize("arguments", ["null", "[]", '""', "", " ", "0", "false"])
async def test_a_handoff_without_arguments_in_any_words(arguments: str) -> None:
    def make() -> Any:
        alice = AssistantAgent("alice", calling(("transfer_to_bob", arguments)), handoffs=["bob"])
        return Swarm([alice, AssistantAgent("bob", ReplayChatCompletionClient(["bob is here"]))], max_turns=2)

    run = await ended(make)
    assert run.finished is not None
    assert run.finished.reason == "stop"
    assert "bob is here" in str(events_of(run))


@pytest.mark.parametrize("arguments", ["5", '"x"', "[1]", "true", "{"])
async def test_arguments_that_are_no_object_are_an_error_that_the_model_sees(arguments: str) -> None:
    async def act(x: int) -> str:
        """Acts."""
        return "acted"

    def make() -> Any:
        return grouped(AssistantAgent("A", calling(("act", arguments)), tools=[act], reflect_on_tool_use=True))

    run = await ended(make)
    (answer,) = (event for event in events_of(run) if isinstance(event, ToolAnswered))
    assert answer.is_error
    assert run.finished is not None
    assert run.finished.reason == "stop"
