"""What was said before, in its own roles; pictures for models that see."""

import base64
import io
import json

import PIL.Image
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import MultiModalMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import Image
from autogen_core.model_context import UnboundedChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.intake.question import ImagePart, ToolCall, Turn
from aiostream_server.runs.history import history_messages, remember, task_messages
from aiostream_server.teams.autogen_private.client_tools import NO_RESULT


def picture(data: bytes | None = None, kind: str = "PNG") -> ImagePart:
    if data is None:
        buffer = io.BytesIO()
        PIL.Image.new("RGB", (2, 3), "red").save(buffer, kind)
        data = buffer.getvalue()
    return ImagePart("image/png", base64.b64encode(data).decode())


def test_every_role() -> None:
    history = [
        Turn("system", "Be terse."),
        Turn("user", "Weather?"),
        Turn("assistant", "Let me see.", tool_calls=(ToolCall("c1", "weather", "{}"), ToolCall("c2", "wind", "{}"))),
        Turn("tool", "rain", call_id="c1"),
        Turn("tool", "none", call_id="c2"),
        Turn("assistant", "Rain."),
    ]
    system, user, calls, results, answer = history_messages(history, sees_images=False)
    assert isinstance(system, SystemMessage)
    assert isinstance(user, UserMessage)
    assert (user.content, user.source) == ("Weather?", "user")
    assert isinstance(calls, AssistantMessage)
    assert isinstance(calls.content, list)
    assert [call.name for call in calls.content] == ["weather", "wind"]
    assert calls.thought == "Let me see."
    assert isinstance(results, FunctionExecutionResultMessage)
    told = [(result.name, result.call_id, result.content) for result in results.content]
    assert told == [("weather", "c1", "rain"), ("wind", "c2", "none")]
    assert isinstance(answer, AssistantMessage)
    assert answer.content == "Rain."


def test_a_call_that_was_never_answered_has_a_result_that_says_so() -> None:
    calls = (ToolCall("c1", "weather", "{}"), ToolCall("c2", "wind", "{}"))
    history = [Turn("assistant", "", tool_calls=calls), Turn("tool", "none", call_id="c2"), Turn("user", "Never mind.")]
    _, results, user = history_messages(history, sees_images=False)
    assert isinstance(results, FunctionExecutionResultMessage)
    assert [result.content for result in results.content] == [NO_RESULT, "none"]
    assert isinstance(user, UserMessage)


async def test_a_question_of_words() -> None:
    (message,) = await task_messages(Turn("user", "Hi"), sees_images=True)
    assert isinstance(message, TextMessage)
    assert (message.content, message.source) == ("Hi", "user")


@pytest.mark.parametrize(("text", "parts"), [("Look", ["Look", Image]), (" ", [Image]), ("", [Image])])
async def test_a_model_that_sees_gets_the_picture(text: str, parts: list[object]) -> None:
    """And no empty text beside it, which some providers refuse."""
    (message,) = await task_messages(Turn("user", text, (picture(),)), sees_images=True)
    assert isinstance(message, MultiModalMessage)
    assert [part if isinstance(part, str) else Image for part in message.content] == parts


async def test_a_blind_model_is_told_what_it_cannot_see() -> None:
    (message,) = await task_messages(Turn("user", "Look", (picture(), picture())), sees_images=False)
    note = "[an image (image/png) that this model cannot see]"
    assert message.to_text() == f"Look\n\n{note}\n{note}"
    (message,) = await task_messages(Turn("user", "", (picture(),)), sees_images=False)
    assert message.to_text() == note


async def test_a_picture_is_passed_on_as_it_came() -> None:
    """And decoded only for an agent that reads its pixels."""
    sent = picture()
    (message,) = await task_messages(Turn("user", "Look", (sent,)), sees_images=True)
    assert isinstance(message, MultiModalMessage)
    image = message.content[1]
    assert isinstance(image, Image)
    assert image.data_uri == f"data:image/png;base64,{sent.base64}"
    assert "image" not in vars(image)
    assert (image.image.size, image.image.mode) == ((2, 3), "RGB")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_a_saved_state_holds_the_same_bytes(kind: str) -> None:
    sent = picture(kind=kind)
    agent = AssistantAgent("One", ReplayChatCompletionClient([]))
    await remember(agent, [Turn("user", "Look", (sent,))], sees_images=True)
    state = json.loads(json.dumps(await agent.save_state(), default=str))
    other = AssistantAgent("One", ReplayChatCompletionClient([]))
    await other.load_state(state)
    (message,) = await other.model_context.get_messages()
    image = message.content[1]
    assert isinstance(image, Image)
    assert image.to_base64() == sent.base64
    assert image.data_uri.startswith(f"data:image/{kind.lower()};")
    assert "image" not in vars(image)


async def test_every_agent_remembers_once() -> None:
    """Those of a nested team, too; and where two share a memory, it is not filled twice."""
    model = ReplayChatCompletionClient([])
    shared = UnboundedChatCompletionContext()
    one, two = (AssistantAgent(name, model, model_context=shared) for name in ("One", "Two"))
    three = AssistantAgent("Three", model)
    team = RoundRobinGroupChat([one, RoundRobinGroupChat([two, three])])
    await remember(team, [Turn("user", "Hi"), Turn("assistant", "Hello")], sees_images=False)
    for agent in (one, two, three):
        assert [message.content for message in await agent.model_context.get_messages()] == ["Hi", "Hello"]
    await remember(team, [], sees_images=False)
    assert len(await shared.get_messages()) == 2


async def test_pictures_of_earlier_turns_are_remembered_too() -> None:
    agent = AssistantAgent("One", ReplayChatCompletionClient([]))
    await remember(agent, [Turn("user", "Look", (picture(),))], sees_images=True)
    (message,) = await agent.model_context.get_messages()
    assert isinstance(message.content, list)
    (task,) = await task_messages(Turn("user", "Hi"), sees_images=True)
    assert task.to_text() == "Hi"
