"""Real AutoGen agents over the client: the sink hears their tokens before AutoGen publishes the message."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent
from autogen_agentchat.base import ChatAgent, TaskResult, Team
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import ModelClientStreamingChunkEvent, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat
from autogen_core import CancellationToken

from aiostream_server.models.client import StreamingClient
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider, Stall
from tests.models.recording import RecordingSink, scripted_client, sink_in_context

Scripted = tuple[ScriptedProvider, StreamingClient]


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    async with scripted_client() as pair:
        yield pair


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def team_of(client: StreamingClient, *, stream: bool, name: str = "Adder") -> RoundRobinGroupChat:
    agent = AssistantAgent(
        name, client, description="adds", tools=[add], reflect_on_tool_use=True, model_client_stream=stream
    )
    return RoundRobinGroupChat([agent], max_turns=1)


async def run(team: RoundRobinGroupChat, sink: RecordingSink, task: str) -> list[Any]:
    """Everything the team says; what the sink has heard by then stands before each `TextMessage`."""
    items: list[Any] = []
    with sink_in_context(sink):
        async for item in team.run_stream(task=task, output_task_messages=False):
            if isinstance(item, TextMessage):
                items.append(sink.texts(item.source))
            items.append(item)
    return items


@pytest.mark.parametrize("stream", [False, True])
async def test_agent_with_a_tool(scripted: Scripted, stream: bool) -> None:
    """Words, call, result, answer: all through the sink, in order, and never as a chunk through AutoGen."""
    provider, client = scripted
    provider.script(ScriptedAnswer("Let me ", "add.", Call("add", {"a": 2, "b": 3})), ScriptedAnswer("It ", "is 5."))
    sink = RecordingSink()
    items = await run(team_of(client, stream=stream), sink, "2 + 3?")
    assert not any(isinstance(item, ModelClientStreamingChunkEvent) for item in items)
    assert items[-3] == "Let me add.It is 5."
    assert isinstance(items[-2], TextMessage)
    assert items[-2].content == "It is 5."
    assert isinstance(items[-1], TaskResult)
    told = [said for said in sink.heard if said[0] not in ("text", "spent", "call")]
    assert "".join(said[-1] for said in sink.heard if said[0] == "call") == '{"a": 2, "b": 3}'
    assert told == [
        ("said", "Adder", "Let me add.", "", ["add"], "function_calls"),
        ("returned", "Adder", ["5"]),
        ("said", "Adder", "It is 5.", "", [], "stop"),
    ]
    assert provider.exchanges[1].body["messages"][-1] == {"role": "tool", "tool_call_id": "call_1", "content": "5"}


async def test_two_teams_at_once(scripted: Scripted) -> None:
    """One client, two teams: each sink hears its own team's agent."""
    provider, client = scripted
    provider.script(lambda body: ScriptedAnswer(*body["messages"][-1]["content"], pause_s=0.01))
    one, two = RecordingSink(), RecordingSink()
    await asyncio.gather(
        run(team_of(client, stream=True, name="One"), one, "first"),
        run(team_of(client, stream=False, name="Two"), two, "second"),
    )
    assert (one.texts("One"), one.texts("Two")) == ("first", "")
    assert (two.texts("Two"), two.texts("One")) == ("second", "")


async def test_nested_team_speaks_under_its_agents_names(scripted: Scripted) -> None:
    provider, client = scripted
    provider.script(ScriptedAnswer("inner"), ScriptedAnswer("outer"))
    inner = RoundRobinGroupChat([AssistantAgent("Inner", client)], max_turns=1)
    society = SocietyOfMindAgent("Society", team=inner, model_client=client)
    sink = RecordingSink()
    await run(RoundRobinGroupChat([society], max_turns=1), sink, "hello")
    assert (sink.texts("Inner"), sink.texts("Society")) == ("inner", "outer")


async def test_selector_is_another_speaker_than_its_agents(scripted: Scripted) -> None:
    """The group-chat manager's own question is not an agent's word."""
    provider, client = scripted
    provider.script(ScriptedAnswer("B"), ScriptedAnswer("hello"))
    agents: list[ChatAgent | Team] = [AssistantAgent(name, client, description=name) for name in "AB"]
    team = SelectorGroupChat(agents, client, termination_condition=MaxMessageTermination(2))
    sink = RecordingSink()
    with sink_in_context(sink):
        await team.run(task="hi")
    speakers = [said[1] for said in sink.heard if said[0] == "said"]
    assert speakers[1] == "B"
    assert speakers[0] not in ("A", "B")


async def test_cancelled_team_leaves_no_connection(scripted: Scripted) -> None:
    """AutoGen's token reaches the provider."""
    provider, client = scripted
    provider.script(ScriptedAnswer("a", Stall()))
    token, sink = CancellationToken(), RecordingSink()
    with sink_in_context(sink):
        running = asyncio.create_task(team_of(client, stream=False).run(task="hi", cancellation_token=token))
    await sink.spoken.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(provider.exchanges[0].closed.wait(), 10)
