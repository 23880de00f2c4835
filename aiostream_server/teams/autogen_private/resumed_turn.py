"""Lets an agent go on with a turn that stopped when it called tools of the client, with the results of these calls.

The agent's next model call then has the messages that it would have had if the tools had run inside. In a group chat
this agent speaks first, and the chat's manager does not choose: the turn is still the agent's own.
"""

from collections.abc import Mapping
from typing import Any, Final

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.teams._group_chat._base_group_chat_manager import BaseGroupChatManager
from autogen_agentchat.teams._group_chat._events import GroupChatRequestPublish, GroupChatStart
from autogen_core import DefaultTopicId, MessageContext
from autogen_core.model_context import ChatCompletionContext

from aiostream_server.teams.autogen_private.structure import manager_of, participants_of

_RESULTS: Final = "FunctionExecutionResultMessage"
_USER: Final = "user"


async def put_results(team: object, caller: str, results: Mapping[str, str]) -> bool:
    """Replace what stands in the place of the results (by the ids of their calls) in the context of the agent `caller`.

    False if the agent has no such context, or has not called one of them.
    """
    agent = _member(team, caller)
    context = getattr(agent, "model_context", None)
    if not isinstance(context, ChatCompletionContext):
        return False
    state = dict(await context.save_state())
    messages = list(state.get("messages", ()))
    at = next((at for at in range(len(messages) - 1, -1, -1) if messages[at].get("type") == _RESULTS), None)
    if at is None:
        return False
    entries: list[dict[str, Any]] = list(messages[at]["content"])
    if not results.keys() <= {entry["call_id"] for entry in entries}:
        return False
    filled = [{**entry, "content": results.get(entry["call_id"], entry["content"])} for entry in entries]
    messages[at] = {**messages[at], "content": filled}
    await context.load_state({**state, "messages": messages})
    return True


async def let_begin(team: object, speaker: str) -> None:
    """Make the agent `speaker` of a group chat whose state was loaded speak first. A lone agent does so anyway."""
    if isinstance(team, BaseGroupChat):
        manager = manager_of(team)
        if isinstance(manager, BaseGroupChatManager):
            vars(manager)["_handlers"] = {**manager._handlers, GroupChatStart: [_Beginning(speaker)]}


async def let_begin_anew(team: object, speaker: str, question: str) -> None:
    """The same in a group chat that has never run: as if the agent had been chosen for this question before."""
    if not isinstance(team, BaseGroupChat):
        return
    await team.save_state()  # makes the manager
    manager = manager_of(team)
    if isinstance(manager, BaseGroupChatManager):
        names, state = manager._participant_names, vars(manager)
        manager._message_thread.append(TextMessage(content=question, source=_USER))
        chosen = {
            "_next_speaker_index": (names.index(speaker) + 1) % len(names),  # round robin
            "_previous_speaker": speaker,  # selector
            "_current_speaker": speaker,  # swarm
            "_task": question,  # Magentic-One
        }
        state.update({name: value for name, value in chosen.items() if name in state})
        if "_ready" in state:  # graph flow: its first nodes have spoken
            state["_ready"].clear()
        await let_begin(team, speaker)


class _Beginning:
    """Handles the start of a group chat in the place of the manager's own handler."""

    def __init__(self, speaker: str) -> None:
        self._speaker = speaker

    @staticmethod
    def router(_: GroupChatStart, __: MessageContext) -> bool:
        """AutoGen asks each handler of a type whether it takes the message."""
        return True

    async def __call__(self, manager: BaseGroupChatManager, message: GroupChatStart, ctx: MessageContext) -> None:
        if message.messages is not None:
            topic = DefaultTopicId(type=manager._group_topic_type)
            start = GroupChatStart(messages=message.messages)
            await manager.publish_message(start, topic_id=topic, cancellation_token=ctx.cancellation_token)
            await manager.update_message_thread(message.messages)
        manager._active_speakers.append(self._speaker)
        topic = DefaultTopicId(type=manager._participant_name_to_topic_type[self._speaker])
        await manager.publish_message(
            GroupChatRequestPublish(), topic_id=topic, cancellation_token=ctx.cancellation_token
        )


def _member(team: object, name: str) -> BaseChatAgent | None:
    members = participants_of(team) or [team]
    return next((each for each in members if isinstance(each, BaseChatAgent) and each.name == name), None)
