"""A team that knows what was said, and the task that it is given now."""

from collections.abc import Sequence

from autogen_agentchat.messages import BaseChatMessage

from aiostream_server.routing.question import routing_question
from aiostream_server.runs.conversation import read_task, remember
from aiostream_server.runs.conversation_memory import ConversationMemory
from aiostream_server.teams.autogen_private.fresh_team import wait_for_people
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.teams.context import Team
from aiostream_server.teams.resume import reply_to
from aiostream_server.teams.tools.adopting import adopt
from aiostream_server.teams.tools.scope import RunScope


async def prepare(
    spec: TeamSpec, recollection: ConversationMemory, scope: RunScope
) -> tuple[Team, Sequence[BaseChatMessage]]:
    """With its own memory where there is one, else with the messages. What it opens is open in `scope`.

    Raises what the team's factory raises, and `ToolFailed`.
    """
    question = recollection.question
    team = await _build(spec, scope)
    if recollection.has_state_of(spec.id):
        asker, task = recollection.waits_for, question.task
        if asker is not None:
            task = task._replace(text=routing_question(task.text))  # what the user typed is the reply
        if await recollection.restore(team):
            wait_for_people(team)
            return team, reply_to(team, asker, await read_task(task, sees_images=spec.sees_images))
        team = await _build(spec, scope)  # half of a state may be in the first
    wait_for_people(team)
    await remember(team, question.history, sees_images=spec.sees_images)
    return team, await read_task(question.task, sees_images=spec.sees_images)


async def _build(spec: TeamSpec, scope: RunScope) -> Team:
    team = await spec.build(scope)
    await adopt(team, scope)
    return team
