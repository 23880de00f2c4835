"""Teams that tests serve: AutoGen's own classes over the configured model, and a few that only Python can make."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, SocietyOfMindAgent, UserProxyAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.conditions import (
    HandoffTermination,
    MaxMessageTermination,
    TextMentionTermination,
    TextMessageTermination,
)
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    TextMessage,
    ToolCallRequestEvent,
)
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_core import CancellationToken, FunctionCall
from autogen_core.tools import FunctionTool

from aiostream_server.teams.context import TeamContext


def solo(context: TeamContext) -> AssistantAgent:
    """One agent, no tools."""
    return AssistantAgent("Solo", context.model(), system_message="You are Solo.")


def pair(context: TeamContext) -> RoundRobinGroupChat:
    """Writer, then Reviewer."""
    return RoundRobinGroupChat([_agent(context, "Writer"), _agent(context, "Reviewer")], max_turns=2)


def pair_of_streamers(context: TeamContext) -> RoundRobinGroupChat:
    """The same with AutoGen's own streaming switched on: nothing may come twice."""
    agents = [_agent(context, name, model_client_stream=True) for name in ("Writer", "Reviewer")]
    return RoundRobinGroupChat(list(agents), max_turns=2)


def nested(context: TeamContext) -> RoundRobinGroupChat:
    """A society of Inner inside, then Outer."""
    inner = RoundRobinGroupChat([_agent(context, "Inner")], max_turns=1)
    society = SocietyOfMindAgent("Society", team=inner, model_client=context.model())
    return RoundRobinGroupChat([society, _agent(context, "Outer")], max_turns=2)


def selected(context: TeamContext) -> SelectorGroupChat:
    """A model selects the next speaker. Its selecting answers are not shown."""
    return SelectorGroupChat(
        [_agent(context, "Alpha"), _agent(context, "Beta")],
        model_client=context.model(),
        termination_condition=MaxMessageTermination(2),
    )


SLOW_TOOL_STARTED: Final = asyncio.Event()


async def _slow_tool() -> str:
    """Take a minute."""
    SLOW_TOOL_STARTED.set()
    await asyncio.sleep(60)
    return "late"


def with_slow_tool(context: TeamContext) -> RoundRobinGroupChat:
    """An async tool that takes a minute."""
    tools = [FunctionTool(_slow_tool, name="slow", description="slow")]
    return RoundRobinGroupChat([_agent(context, "Worker", tools=tools)], max_turns=1)


def with_tool(context: TeamContext) -> RoundRobinGroupChat:
    """A tool, and a model that rephrases its result."""

    async def weather(city: str) -> str:
        """The weather."""
        return f"rain in {city}"

    tools = [FunctionTool(weather, name="weather", description="The weather.")]
    worker = _agent(context, "Worker", tools=tools, reflect_on_tool_use=True)
    return RoundRobinGroupChat([worker], max_turns=1)


def blind_result(context: TeamContext) -> RoundRobinGroupChat:
    """A tool, and its raw result as the answer."""

    async def dice() -> str:
        """Roll."""
        return "four"

    worker = _agent(context, "Worker", tools=[FunctionTool(dice, name="dice", description="Roll.")])
    return RoundRobinGroupChat([worker], max_turns=1)


class OnlyRuns:
    """A team that is not AutoGen's and cannot stream."""

    async def run(self, *, task: Any) -> TaskResult:
        await asyncio.sleep(0.05)
        said = TextMessage(content="all at once", source="Batch")
        return TaskResult(messages=[*task, said], stop_reason="done")


def only_runs(_: TeamContext) -> OnlyRuns:
    return OnlyRuns()


class Failing(BaseChatAgent):
    """Raises something with a path in it."""

    def __init__(self) -> None:
        super().__init__("Failing", "fails")

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        raise OSError("cannot open /etc/very/secret.key\nTraceback: more")

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing to reset."""


def failing(_: TeamContext) -> RoundRobinGroupChat:
    return RoundRobinGroupChat([Failing()], max_turns=1)


class Speaker(BaseChatAgent):
    """Says fixed things: one message a turn."""

    def __init__(self, name: str, *lines: str) -> None:
        super().__init__(name, "says things")
        self._lines = list(lines)

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        return Response(chat_message=TextMessage(content=self._lines.pop(0), source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing to reset."""


def undescribed(_: TeamContext) -> RoundRobinGroupChat:
    """Agents without descriptions."""
    return RoundRobinGroupChat(
        [Speaker("One", "Validating the draft now."), Speaker("Two", "In conclusion, it is fine.")], max_turns=2
    )


class Hanging:
    """Says one thing and then hangs until it is cancelled."""

    async def run_stream(
        self, *, task: Any, cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        yield TextMessage(content="thinking it over", source="Slow")
        yield ToolCallRequestEvent(content=[FunctionCall("c1", "{}", "wait")], source="Slow")
        await asyncio.Event().wait()


def hanging(_: TeamContext) -> Hanging:
    return Hanging()


class Deaf:
    """Ignores the cancellation of its task for three seconds."""

    async def run_stream(self, *, task: Any) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        yield TextMessage(content="I do not listen", source="Deaf")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                await asyncio.sleep(end - time.monotonic())
            except asyncio.CancelledError:
                continue


def deaf(_: TeamContext) -> Deaf:
    return Deaf()


def until_approved(context: TeamContext) -> RoundRobinGroupChat:
    """Writer, and Person: asked after every draft until the reply is APPROVE."""
    approved = TextMentionTermination("APPROVE", sources=["Person"])
    return RoundRobinGroupChat([_agent(context, "Writer"), UserProxyAgent("Person")], termination_condition=approved)


def asked_in_between(context: TeamContext) -> RoundRobinGroupChat:
    """Writer, Person, Editor."""
    agents = [_agent(context, "Writer"), UserProxyAgent("Person"), _agent(context, "Editor")]
    return RoundRobinGroupChat(list(agents), termination_condition=TextMessageTermination("Editor"))


def selected_person(context: TeamContext) -> SelectorGroupChat:
    """Writer, Person, Editor, selected by who spoke last."""

    def select(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        return {"user": "Writer", "Writer": "Person", "Person": "Editor"}.get(messages[-1].source)

    return SelectorGroupChat(
        [_agent(context, "Writer"), UserProxyAgent("Person"), _agent(context, "Editor")],
        model_client=context.model(),
        selector_func=select,
        termination_condition=TextMessageTermination("Editor"),
    )


def hands_off(context: TeamContext) -> RoundRobinGroupChat:
    """Helper can hand off to the user (the tool `transfer_to_user`)."""
    ends = HandoffTermination("user") | TextMessageTermination("Helper")
    return RoundRobinGroupChat([_agent(context, "Helper", handoffs=["user"])], termination_condition=ends)


def swarm_hands_off(context: TeamContext) -> Swarm:
    """The same as a swarm."""
    ends = HandoffTermination("user") | TextMessageTermination("Helper")
    return Swarm([_agent(context, "Helper", handoffs=["user"])], termination_condition=ends)


def swarm_with_person(context: TeamContext) -> Swarm:
    """Helper can hand off to Person, a member of the swarm (the tool `transfer_to_person`)."""
    helper = _agent(context, "Helper", handoffs=["Person"])
    return Swarm([helper, UserProxyAgent("Person")], termination_condition=TextMessageTermination("Helper"))


def _agent(context: TeamContext, name: str, **settings: Any) -> AssistantAgent:
    return AssistantAgent(name, context.model(), system_message=f"You are {name}.", **settings)
