"""Lets agents go on with turns that stopped when they called tools of the client, with the results of these calls.

An agent's next model call then has the messages that it would have had if the tools had run inside. In a group chat
these agents speak first, and the chat's manager does not choose: the turns are still theirs. They are several where
branches of a graph worked at the same time.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.teams._group_chat._base_group_chat_manager import BaseGroupChatManager
from autogen_agentchat.teams._group_chat._events import GroupChatRequestPublish, GroupChatStart
from autogen_core import DefaultTopicId, MessageContext
from autogen_core.model_context import ChatCompletionContext

from aiostream_server.teams.autogen_private.running_team import manager_of
from aiostream_server.teams.autogen_private.structure import participants_of

_RESULTS: Final = "FunctionExecutionResultMessage"
_USER: Final = "user"


async def put_results(team: object, callers: Sequence[str], results: Mapping[str, str]) -> bool:
    """Replace what stands in the place of the results (by the ids of their calls) in the contexts of the agents.

    False if none of the agents has called one of them.
    """
    left = results.keys() - set()
    for caller in callers:
        context = getattr(_member(team, caller), "model_context", None)
        if isinstance(context, ChatCompletionContext):
            left -= await _filled(context, results)
    return not left


async def _filled(context: ChatCompletionContext, results: Mapping[str, str]) -> set[str]:
    """The ids of the calls that were made last in this context, which now has their results."""
    state = dict(await context.save_state())
    messages = list(state.get("messages", ()))
    at = next((at for at in range(len(messages) - 1, -1, -1) if messages[at].get("type") == _RESULTS), None)
    if at is None:
        return set()
    entries: list[dict[str, Any]] = list(messages[at]["content"])
    filled = [{**entry, "content": results.get(entry["call_id"], entry["content"])} for entry in entries]
    messages[at] = {**messages[at], "content": filled}
    await context.load_state({**state, "messages": messages})
    return {entry["call_id"] for entry in entries}


async def let_begin(team: object, speakers: Sequence[str]) -> None:
    """Make these agents of a group chat whose state was loaded speak first. A lone agent does so anyway."""
    if isinstance(team, BaseGroupChat):
        manager = manager_of(team)
        if isinstance(manager, BaseGroupChatManager):
            vars(manager)["_handlers"] = {**manager._handlers, GroupChatStart: [_Beginning(speakers)]}


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
        await let_begin(team, [speaker])


class _Beginning:
    """Handles the start of a group chat in the place of the manager's own handler."""

    def __init__(self, speakers: Sequence[str]) -> None:
        self._speakers = speakers

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
        manager._active_speakers.extend(self._speakers)
        for speaker in self._speakers:
            topic = DefaultTopicId(type=manager._participant_name_to_topic_type[speaker])
            await manager.publish_message(
                GroupChatRequestPublish(), topic_id=topic, cancellation_token=ctx.cancellation_token
            )


def _member(team: object, name: str) -> BaseChatAgent | None:
    members = participants_of(team) or [team]
    return next((each for each in members if isinstance(each, BaseChatAgent) and each.name == name), None)
