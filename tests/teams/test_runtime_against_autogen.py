"""Each kind of team sends the same messages in the same order on `TeamRuntime` as on AutoGen's runtime."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_agentchat.teams import BaseGroupChat, DiGraphBuilder, GraphFlow, RoundRobinGroupChat, SelectorGroupChat
from autogen_core import CancellationToken, SingleThreadedAgentRuntime
from autogen_core.tools import FunctionTool

from aiostream_server.teams.autogen_private.fresh_team import use_team_runtimes
from aiostream_server.teams.autogen_private.running_team import background_tasks
from aiostream_server.teams.autogen_private.runtime import TeamRuntime
from tests.kit.waiting import DEADLINE_S
from tests.teams.kinds import KINDS, agent, calls, saying

Make = Callable[[], BaseGroupChat]
Said = tuple[str, ...]


class Acting(BaseChatAgent):
    """Runs `act`, and then says its name."""

    def __init__(self, name: str, act: Callable[[], Any]) -> None:
        super().__init__(name, "acts")
        self._act = act

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        if asyncio.iscoroutine(acting := self._act()):
            await acting
        return Response(chat_message=TextMessage(content=self.name, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Has no state."""


def fail() -> None:
    raise ValueError("no luck")


def ours(make: Make) -> BaseGroupChat:
    team = make()
    use_team_runtimes(team)
    assert isinstance(team._runtime, TeamRuntime)
    return team


def autogens(make: Make) -> BaseGroupChat:
    team = make()
    assert type(team._runtime) is SingleThreadedAgentRuntime
    return team


def _told(item: BaseAgentEvent | BaseChatMessage | TaskResult) -> Said:
    if isinstance(item, TaskResult):
        return ("result", str(item.stop_reason), *(message.to_text() for message in item.messages))
    return (type(item).__name__, item.source, item.to_text())


async def said(team: BaseGroupChat, task: str | None = "go", token: CancellationToken | None = None) -> list[Said]:
    """The team's messages, and its end: a result, or the first line of an error."""
    told: list[Said] = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for item in team.run_stream(task=task, cancellation_token=token):
                told.append(_told(item))  # noqa: PERF401 - what was told before an error counts
    except (RuntimeError, ValueError) as exc:
        told.append(("failed", str(exc).splitlines()[0]))
    return told


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """No task outlives the block by more than a few turns of the loop."""
    before = asyncio.all_tasks()
    yield
    for _ in range(20):
        await asyncio.sleep(0)
    assert not asyncio.all_tasks() - before


@pytest.mark.parametrize("kind", KINDS)
async def test_the_messages_are_the_same(kind: str) -> None:
    async with nothing_left():
        told = await said(ours(KINDS[kind]))
    assert told == await said(autogens(KINDS[kind]))
    assert told[-1][0] == "result"
    assert len(told) > 3


@pytest.mark.parametrize("kind", ["round robin", "team in team"])
async def test_the_second_run_of_a_team_is_the_same(kind: str) -> None:
    """A second run of the same team, without a task."""
    one, other = ours(KINDS[kind]), autogens(KINDS[kind])
    assert await said(one) == await said(other)
    assert await said(one, None) == await said(other, None)


@pytest.mark.parametrize("kind", ["round robin", "selector", "society", "team in team"])
async def test_a_state_is_the_same_and_loads_across_runtimes(kind: str) -> None:
    teams = [ours(KINDS[kind]), autogens(KINDS[kind])]
    for team in teams:
        await said(team)
    states: list[Any] = [await team.save_state() for team in teams]
    assert _without_ids(states[0]) == _without_ids(states[1])
    fresh = [ours(KINDS[kind]), autogens(KINDS[kind])]
    for team, state in zip(fresh, reversed(states), strict=True):
        await team.load_state(state)
    assert [_without_ids(await team.save_state()) for team in fresh] == [_without_ids(states[0])] * 2
    assert await said(fresh[0], "again") == await said(fresh[1], "again")


@pytest.mark.parametrize("kind", ["round robin", "graph", "society", "magentic"])
async def test_a_reset_team_has_forgotten(kind: str) -> None:
    teams = [ours(KINDS[kind]), autogens(KINDS[kind])]
    for team in teams:
        await said(team)
        await team.reset()
    kept = [_without_ids(await team.save_state()) for team in teams]
    assert kept[0] == kept[1]


def _without_ids(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _without_ids(value) for key, value in state.items() if key not in ("id", "created_at")}
    return [_without_ids(value) for value in state] if isinstance(state, list) else state


def _raises_alone() -> BaseGroupChat:
    return RoundRobinGroupChat([agent("A", "a1"), Acting("B", fail)], max_turns=4)


def _raises_inside() -> BaseGroupChat:
    return RoundRobinGroupChat([agent("A", "a1"), RoundRobinGroupChat([Acting("B", fail)], max_turns=1)], max_turns=4)


def _raises_beside() -> BaseGroupChat:
    """B raises while C, which started at the same time, still works."""
    a, b, c = agent("A", "a1"), Acting("B", fail), Acting("C", lambda: asyncio.sleep(0.02))
    graph = DiGraphBuilder().add_node(a).add_node(b).add_node(c)
    graph.add_edge(a, b).add_edge(a, c)
    return GraphFlow([a, b, c], graph.build())


def _raises_in_its_manager() -> BaseGroupChat:
    """The second selected speaker does not exist."""
    return SelectorGroupChat(
        [agent("A", "a1"), agent("B", "b1")],
        saying("A"),
        selector_func=lambda thread: "A" if len(thread) == 1 else "nobody",
    )


def _raises_at_its_start() -> BaseGroupChat:
    return SelectorGroupChat([agent("A", "a1"), agent("B", "b1")], saying("A"), selector_func=lambda _: "nobody")


@pytest.mark.parametrize(
    "make", [_raises_alone, _raises_inside, _raises_beside, _raises_in_its_manager, _raises_at_its_start]
)
async def test_errors_are_the_same(make: Make) -> None:
    async with nothing_left():
        told = await said(ours(make))
    assert told == await said(autogens(make))
    assert told[-1][0] == "failed"


@pytest.mark.parametrize("runtime", [ours, autogens])
async def test_a_cancelled_team_ends_with_cancelled_error(runtime: Callable[[Make], BaseGroupChat]) -> None:
    token = CancellationToken()

    async def work() -> None:
        work_of_it = asyncio.ensure_future(asyncio.sleep(60))
        token.link_future(work_of_it)
        asyncio.get_running_loop().call_soon(token.cancel)
        await work_of_it

    async with nothing_left():
        team = runtime(lambda: RoundRobinGroupChat([Acting("A", work)], max_turns=1))
        with pytest.raises(asyncio.CancelledError):
            await said(team, token=token)


@pytest.mark.parametrize("depth", [0, 1, 2])
async def test_cancelling_the_tasks_of_all_layers_at_once_ends_a_tool_call(depth: int) -> None:
    """AutoGen's runtimes leave tasks behind if an outer one is cancelled together with its inner one."""
    started = asyncio.Event()

    async def wait() -> str:
        started.set()
        await asyncio.sleep(60)
        return "late"

    def make() -> BaseGroupChat:
        worker = agent("A", calls("wait"), tools=[FunctionTool(wait, name="wait", description="waits")])
        team: BaseGroupChat = RoundRobinGroupChat([worker], max_turns=1)
        for _ in range(depth):
            team = RoundRobinGroupChat([team], max_turns=1)
        return team

    async with nothing_left():
        token, team = CancellationToken(), ours(make)
        work = asyncio.create_task(said(team, token=token))
        await started.wait()
        token.cancel()
        for tasks in tuple(background_tasks(team)):
            for task in tasks:
                task.cancel()
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(asyncio.CancelledError):
                await work


async def test_a_run_that_is_cancelled_as_a_task_leaves_no_tasks() -> None:
    """It is cancelled as a task, twice, without its token: after the first time AutoGen waits for the team."""
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.sleep(60)

    async with nothing_left():
        team = ours(lambda: RoundRobinGroupChat([Acting("A", wait)], max_turns=1))
        work = asyncio.create_task(said(team))
        await started.wait()
        for _ in range(2):
            work.cancel()
            await asyncio.wait({work}, timeout=0.02)
        assert work.cancelled()


async def test_an_agent_that_is_cancelled_from_inside_fails_the_team() -> None:
    """AutoGen's runtime would wait for ever."""

    def give_up() -> None:
        raise asyncio.CancelledError

    async with nothing_left():
        told = await said(ours(lambda: RoundRobinGroupChat([Acting("A", give_up)], max_turns=1)))
    assert told[-1][0] == "failed"
    assert told[-1][1] == "TeamFailed: A was cancelled from inside"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_team_is_freed_with_its_run(kind: str) -> None:
    """No reference cycle keeps it: the garbage collector would pause every stream to free it."""
    gc.disable()
    try:
        team = ours(KINDS[kind])
        async for _ in team.run_stream(task="go"):
            pass
        runtime = weakref.ref(team._runtime)
        del team, _
        await asyncio.sleep(0)
        assert runtime() is None
    finally:
        gc.enable()
