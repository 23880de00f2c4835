"""A person's reply -> the task that makes a team resume where it asked.

A team asks in one of two ways. It hands off to a target that is no participant, and ends by `HandoffTermination`; then
the reply is an ordinary task, except in a Swarm, where the last handoff must have a participant as its target. Or it
has a `UserProxyAgent`, which is waiting when the state is saved. AutoGen counts that turn as taken, so the reply must
be the message that the agent would have sent.
"""

from collections.abc import Sequence
from typing import Final

from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, MultiModalMessage
from autogen_agentchat.teams import Swarm
from autogen_core import Image
from autogen_core.models import LLMMessage, UserMessage

from aiostream_server.teams.autogen_private.running_team import group_thread
from aiostream_server.teams.autogen_private.team_facts import participant_names, people_in

USER: Final = "user"
"""The source of a task, and the target of a handoff that asks the user."""
YES_OR_NO: Final = {"reply": "yes_or_no"}
"""The `metadata` of a `HandoffMessage` that asks for a yes or a no: pages show two buttons."""


def reply_to(team: object, asker: str | None, task: Sequence[BaseChatMessage]) -> Sequence[BaseChatMessage]:
    """Returns the task messages for a new team into which the saved state was loaded.

    `asker` is the agent that asked: the source of the `UserInputRequestedEvent` or of the `HandoffMessage`; None if the
    message replies to no question. `task` holds the user's messages, from the source "user".
    """
    thread = group_thread(team)
    handoff = next((message for message in reversed(thread) if isinstance(message, HandoffMessage)), None)
    if asker is not None and asker in people_in(team):
        was_handed_over = handoff is not None and handoff is thread[-1] and handoff.target == asker
        if handoff is not None and was_handed_over:
            return [_handed_back(message, source=asker, target=handoff.source) for message in task]
        return [message.model_copy(update={"source": asker}) for message in task]
    if isinstance(team, Swarm) and handoff is not None and handoff.target not in participant_names(team):
        return [_handed_back(message, source=USER, target=handoff.source) for message in task]
    return task


def _handed_back(message: BaseChatMessage, *, source: str, target: str) -> HandoffMessage:
    """A handoff holds only text, so the images of the message become its context."""
    images: list[str | Image] = []
    text = message.to_text()
    if isinstance(message, MultiModalMessage):
        images += [part for part in message.content if isinstance(part, Image)]
        text = "\n\n".join(part for part in message.content if isinstance(part, str))
    context: list[LLMMessage] = [UserMessage(content=images, source=source)] if images else []
    return HandoffMessage(id=message.id, content=text, source=source, target=target, context=context)
