"""A team that asked a person resumes as a new team, from the saved state, with the reply as its task."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from autogen_agentchat.agents import AssistantAgent, UserProxyAgent
from autogen_agentchat.messages import HandoffMessage, MultiModalMessage, TextMessage, UserInputRequestedEvent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import CancellationToken, Image
from autogen_core.models import ModelInfo
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.teams.autogen_private.fresh_team import wait_for_people
from aiostream_server.teams.autogen_private.running_team import group_thread
from aiostream_server.teams.autogen_private.team_facts import participant_names, people_in
from aiostream_server.teams.context import TeamContext
from aiostream_server.teams.resume import reply_to
from tests.kit import sample_teams
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.waiting import DEADLINE_S, wait_for
from tests.teams.conversing import Talk, data_team

Make = Callable[[TeamContext], Any]


@pytest.fixture
async def context(provider: ScriptedProvider, tmp_path: Path) -> AsyncIterator[TeamContext]:
    async with data_team(tmp_path, base_url=provider.base_url) as context:
        yield replace(context, databases={})


def talk(make: Make, context: TeamContext) -> Talk:
    return Talk(lambda: make(context))


def heard(provider: ScriptedProvider) -> list[str]:
    """The messages of the last model call, as text."""
    return [str(message["content"]) for message in provider.exchanges[-1].body["messages"]]


@pytest.mark.parametrize("make", [sample_teams.asked_in_between, sample_teams.selected_person])
async def test_a_reply_stands_where_the_person_would_have_spoken(
    make: Make, context: TeamContext, provider: ScriptedProvider
) -> None:
    conversation = talk(make, context)
    provider.script(ScriptedAnswer("A draft."), ScriptedAnswer("Final."))
    said = await conversation.ask("Write.")
    assert isinstance(said[-1], UserInputRequestedEvent)
    assert conversation.asker == "Person"
    again = await conversation.ask("Make it blue.")
    assert [(message.source, message.to_text()) for message in again] == [("Editor", "Final.")]
    assert [(message.source, message.to_text()) for message in conversation.task] == [("Person", "Make it blue.")]
    assert heard(provider)[1:] == ["Write.", "A draft.", "Make it blue."]


async def test_a_person_can_be_asked_many_times(context: TeamContext, provider: ScriptedProvider) -> None:
    """A termination condition that the person's reply meets ends the team."""
    conversation = talk(sample_teams.until_approved, context)
    provider.script(ScriptedAnswer("One."), ScriptedAnswer("Two."), ScriptedAnswer("Three."))
    for reply in ("Write.", "Shorter.", "Longer."):
        said = await conversation.ask(reply)
        assert isinstance(said[-1], UserInputRequestedEvent)
    assert heard(provider)[1:] == ["Write.", "One.", "Shorter.", "Two.", "Longer."]
    team = conversation.make()
    wait_for_people(team)
    await team.load_state(json.loads(conversation.state or ""))
    task = reply_to(team, "Person", [TextMessage(content="APPROVE", source="user")])
    result = await team.run(task=list(task), output_task_messages=False)
    assert not result.messages
    assert result.stop_reason == "Text 'APPROVE' mentioned"


@pytest.mark.parametrize(
    ("make", "tool", "asker", "replies_as"),
    [
        (sample_teams.swarm_hands_off, "transfer_to_user", "Helper", HandoffMessage),
        (sample_teams.hands_off, "transfer_to_user", "Helper", TextMessage),
        (sample_teams.swarm_with_person, "transfer_to_person", "Person", HandoffMessage),
    ],
)
async def test_a_handoff_is_answered(
    make: Make, tool: str, asker: str, replies_as: type, context: TeamContext, provider: ScriptedProvider
) -> None:
    conversation = talk(make, context)
    provider.script(ScriptedAnswer("Which colour?", Call(tool, {})), ScriptedAnswer("Blue it is."))
    await conversation.ask("Paint.")
    assert conversation.asker == asker
    again = await conversation.ask("Blue.")
    assert [(message.source, message.to_text()) for message in again] == [("Helper", "Blue it is.")]
    (task,) = conversation.task
    assert type(task) is replies_as
    if isinstance(task, HandoffMessage):
        assert (task.source, task.target) == ("user" if asker == "Helper" else "Person", "Helper")
    assert [message["role"] for message in provider.exchanges[-1].body["messages"]][-3:] == [
        "assistant", "tool", "user"
    ]  # fmt: skip
    assert heard(provider)[-1] == "Blue."


async def test_a_swarm_resumes_also_if_the_asker_is_not_known(context: TeamContext, provider: ScriptedProvider) -> None:
    conversation = talk(sample_teams.swarm_hands_off, context)
    provider.script(ScriptedAnswer(Call("transfer_to_user", {})), ScriptedAnswer("Yes."), ScriptedAnswer("Again."))
    await conversation.ask("Paint.")
    conversation.asker = None
    assert (await conversation.ask("Blue."))[-1].to_text() == "Yes."
    assert (await conversation.ask("And?"))[-1].to_text() == "Again."
    assert isinstance(conversation.task[0], TextMessage)


async def test_pictures_in_a_reply_are_kept(context: TeamContext, provider: ScriptedProvider) -> None:
    picture = Image(PIL.Image.new("RGB", (2, 2)))
    conversation = talk(sample_teams.swarm_hands_off, context)
    provider.script(ScriptedAnswer(Call("transfer_to_user", {})))
    await conversation.ask("Paint.")
    team = conversation.make()
    await team.load_state(json.loads(conversation.state or ""))
    (task,) = reply_to(team, "Helper", [MultiModalMessage(content=["Like this", picture], source="user")])
    assert isinstance(task, HandoffMessage)
    assert task.content == "Like this"
    (shown,) = task.context
    assert shown.content == [picture]


def test_a_message_that_replies_to_no_question_is_not_changed() -> None:
    client = ReplayChatCompletionClient([])
    task = [TextMessage(content="Hi", source="user")]
    assert reply_to(AssistantAgent("Lone", client), None, task) == task
    assert reply_to(object(), "Gone", task) == task
    assert reply_to(RoundRobinGroupChat([AssistantAgent("Lone", client)]), "Gone", task) == task
    assert group_thread(object()) == ()
    assert participant_names(object()) == ()


@pytest.mark.parametrize(
    "make", [sample_teams.asked_in_between, sample_teams.selected_person, sample_teams.swarm_with_person]
)
async def test_a_team_that_waits_for_a_person_ends_when_cancelled_and_leaves_no_task(
    make: Make, context: TeamContext, provider: ScriptedProvider
) -> None:
    provider.script(
        ScriptedAnswer(Call("transfer_to_person", {}))
        if make is sample_teams.swarm_with_person
        else ScriptedAnswer("A.")
    )
    before = asyncio.all_tasks()
    team, token = make(context), CancellationToken()
    wait_for_people(team)
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for item in team.run_stream(task="Write.", cancellation_token=token):
                if isinstance(item, UserInputRequestedEvent):
                    token.cancel()
    except asyncio.CancelledError:
        assert token.is_cancelled()

    def none_left() -> bool:
        left = asyncio.all_tasks() - before
        return not [task for task in left if "aiohttp" not in repr(task)]  # the provider keeps its connection

    await wait_for(none_left)


async def test_a_user_proxy_never_reads_the_servers_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """In any place in a team, with any input function; it waits, also without a token."""
    info = ModelInfo(vision=False, function_calling=True, json_output=False, family="unknown", structured_output=False)
    client = ReplayChatCompletionClient([], model_info=info)
    people: Sequence[UserProxyAgent] = [
        UserProxyAgent("Given", input_func=input),
        UserProxyAgent("Plain"),
        UserProxyAgent("InTool"),
        UserProxyAgent("InTeamTool"),
    ]
    inner = RoundRobinGroupChat([people[1]], name="inner")
    tools = [
        AgentTool(people[2]),
        TeamTool(RoundRobinGroupChat([people[3]]), name="ask", description="asks"),
    ]
    team = RoundRobinGroupChat([people[0], inner, AssistantAgent("Worker", client, tools=list(tools))])
    assert people_in(team) == {"Given", "Plain", "InTool", "InTeamTool"}
    monkeypatch.setattr(sys, "stdin", None)
    wait_for_people(team)
    for person in people:
        for token in (CancellationToken(), None):
            asking = asyncio.ensure_future(person.on_messages([], token))  # type: ignore[arg-type]
            for _ in range(20):
                await asyncio.sleep(0)
            assert not asking.done()
            asking.cancel() if token is None else token.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
