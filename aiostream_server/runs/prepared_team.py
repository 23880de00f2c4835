"""Builds a run's team with what it remembers of the conversation, and the task to run it on.

A team whose last run ended with calls of the client's tools goes on with the results: from its own state where that was
kept, else from the messages, which then end with the calls and the results.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from autogen_agentchat.messages import BaseChatMessage

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.answer_form import ToolForm
from aiostream_server.intake.question import Question
from aiostream_server.runs.conversation_memory import ConversationMemory
from aiostream_server.runs.history import remember, task_messages
from aiostream_server.teams.autogen_private.client_tools import Check, ClientTools, callers_in, client_tools
from aiostream_server.teams.autogen_private.fresh_team import wait_for_people
from aiostream_server.teams.autogen_private.resumed_turn import let_begin, let_begin_anew, put_results
from aiostream_server.teams.autogen_private.structure import Everything
from aiostream_server.teams.autogen_private.team_facts import agent_names, answerers, code_runners
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.teams.context import Team
from aiostream_server.teams.resume import reply_to
from aiostream_server.teams.tools.component_resources import tie_to_run
from aiostream_server.teams.tools.scope import RunScope
from aiostream_server.text import typed_question


@dataclass(frozen=True, slots=True)
class PreparedTeam:
    """`task` is empty for a team that goes on where it stopped. `answer_from` names the agents that answer, `speakers`
    all of them, and `code_runners` those whose messages are the output of code."""

    team: Team
    task: Sequence[BaseChatMessage]
    answer_from: Sequence[str]
    client_tools: ClientTools
    speakers: frozenset[str]
    code_runners: frozenset[str]


async def prepare(spec: TeamSpec, memory: ConversationMemory, scope: RunScope) -> PreparedTeam:
    """What the team opens is closed with `scope`. Raises what building it raises, and `InvalidRequest` for results of
    calls that no agent made."""
    team, things, task = await _with_memory(spec, memory, scope)
    question, tools = memory.question, ClientTools()
    answer_from = _answer_from(spec, team)
    if spec.config.client_tools and question.callable_tools:
        tools = await client_tools(question.callable_tools, question.tool_choice, _check_of(question))
        tools.give_to(callers_in(team, answer_from))
    return PreparedTeam(team, task, answer_from, tools, agent_names(things), code_runners(things))


async def _with_memory(
    spec: TeamSpec, memory: ConversationMemory, scope: RunScope
) -> tuple[Team, Everything, Sequence[BaseChatMessage]]:
    """The team gets its own state where there is one, else the conversation's messages."""
    question = memory.question
    team, things = await _build(spec, scope)
    if memory.has_state_of(spec.id):
        if await memory.restore(team):
            wait_for_people(things)
            return team, things, await _resumed(team, spec, memory)
        team, things = await _build(spec, scope)  # the first one may hold half of a state
    wait_for_people(things)
    _refuse_unknown_results(question)
    await remember(team, question.history, sees_images=spec.sees_images)
    callers = callers_in(team, _answer_from(spec, team)) if spec.config.client_tools else ()
    if question.tool_results and callers:
        await let_begin_anew(team, callers[0].name, question.asked[-1])
        return team, things, await _own_task(question, spec)
    return team, things, await task_messages(question.task, sees_images=spec.sees_images)


async def _resumed(team: Team, spec: TeamSpec, memory: ConversationMemory) -> Sequence[BaseChatMessage]:
    """The task for a team into which its state was loaded."""
    question, results = memory.question, memory.question.tool_results
    if results:
        if not await put_results(team, memory.stopped, results):
            raise InvalidRequest("no tool call waits for one of the results", param="messages")
        await let_begin(team, memory.stopped)
        return await _own_task(question, spec)
    asker, task = memory.waits_for, question.task
    if asker is not None:
        task = task._replace(text=typed_question(task.text))  # the reply is what the user typed
    return reply_to(team, asker, await task_messages(task, sees_images=spec.sees_images))


def _refuse_unknown_results(question: Question) -> None:
    """Every protocol checks what it is sent; the calls may also stand in the turns that the server kept, or not."""
    called = {call.call_id for turn in question.history for call in turn.tool_calls}
    for call_id in question.tool_results:
        if call_id not in called:
            raise InvalidRequest(f"no tool call {call_id[:80]!r} waits for a result", param="messages")


async def _own_task(question: Question, spec: TeamSpec) -> Sequence[BaseChatMessage]:
    """What the user asks beside the results of tools."""
    return await task_messages(question.task, sees_images=spec.sees_images) if question.has_new_task else ()


async def _build(spec: TeamSpec, scope: RunScope) -> tuple[Team, Everything]:
    team, things = await spec.build_parts(scope)
    await tie_to_run(things, scope)
    return team, things


def _answer_from(spec: TeamSpec, team: Team) -> Sequence[str]:
    return spec.config.answer_from or tuple(answerers(team))


def _check_of(question: Question) -> Check | None:
    """A call that the request forces has arguments that fit the tool's schema."""
    form = question.form
    if not isinstance(form, ToolForm):
        return None

    async def check(tool: str, arguments: str) -> str:
        from aiostream_server.runs.formed_answer import Misfit, fitted  # takes 0.1 s, and few requests need it

        schema = next(each.parameters for each in form.tools if each.name == tool)
        fitting = await asyncio.to_thread(fitted, arguments, schema)
        return fitting.reason if isinstance(fitting, Misfit) else ""

    return check
