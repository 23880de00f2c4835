"""What a run does with its team: recall the conversation, choose, build and drive the team, keep what it remembers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from autogen_agentchat.messages import BaseChatMessage
from autogen_core import CancellationToken

from aiostream_server.errors import SchemaNotMet
from aiostream_server.events import Message, Routing
from aiostream_server.events.fixed_notices import NOT_RECALLED
from aiostream_server.models.call_memory import CallMemory, current_calls
from aiostream_server.models.provider import TextDelta
from aiostream_server.models.token_sink import current_sink
from aiostream_server.routing.question import routing_question
from aiostream_server.runs.conversation_memory import ConversationMemory
from aiostream_server.runs.history import remember, task_messages
from aiostream_server.runs.last_call import put_in_form
from aiostream_server.runs.recorder import Recorder
from aiostream_server.runs.request import RunRequest, RunResources
from aiostream_server.runs.team_driver import drive
from aiostream_server.runs.translator import Translator
from aiostream_server.store.run_files import RunFiles, current_files
from aiostream_server.teams.autogen_private.fresh_team import wait_for_people
from aiostream_server.teams.autogen_private.structure import agent_names, answerers, code_runners, participant_names
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.teams.context import Team
from aiostream_server.teams.resume import reply_to
from aiostream_server.teams.tools.component_resources import tie_to_run
from aiostream_server.teams.tools.scope import RunScope
from aiostream_server.text import one_line
from aiostream_server.tools.chart.painter import current_painter
from aiostream_server.tools.sql.schema_choice.conversation import current_questions


@dataclass(slots=True)
class TeamWork:
    """One run's. `on_chosen` is called with the team that answers. `team` and `scope` are None until there is one.

    `stop_reason` is the team's own, in one line, once it is done.
    """

    request: RunRequest
    resources: RunResources
    recorder: Recorder
    on_chosen: Callable[[TeamSpec], object]
    team: object | None = None
    scope: RunScope | None = None
    stop_reason: str | None = None
    calls: CallMemory = field(default_factory=CallMemory)

    async def perform(self, token: CancellationToken, *, asked_at: float) -> None:
        """All of it. Raises what the team raises, and `ToolFailed`. `asked_at` is Unix time."""
        request, resources, recorder = self.request, self.resources, self.recorder
        current_calls.set(self.calls)
        memory = ConversationMemory(
            resources.archive, request.owner, request.conversation, request.question, self.calls, asked_at=asked_at
        )
        await memory.recall()
        spec = request.spec or await self._route(memory)
        self.on_chosen(spec)
        files = None
        if resources.files is not None and request.link_base:
            files = RunFiles(resources.files, request.owner, request.link_base)
        current_files.set(files)
        current_painter.set(resources.painter)
        current_questions.set(memory.question.asked)
        self.scope = spec.toolbox.scope()
        team, task = await _build_with_memory(spec, memory, self.scope)
        answer_from = spec.config.answer_from or answerers(team)
        recorder.awaits_form = request.question.form is not None
        recorder.listen_to(agent_names(team), answer_from=answer_from, roles=spec.config.roles)
        current_sink.set(recorder)
        self.team = team
        ending = await drive(team, task, Translator(recorder, code_runners(team)), token)
        self.stop_reason = ending.stop_reason_line
        if files is not None:
            _add_missing_pictures(recorder, files)
            await files.settle()
        recorder.close_all()
        form = memory.question.form
        if ending.handover is not None:
            recorder.ask_user(ending.handover, can_reply=memory.is_kept)
        else:
            if form is not None:
                await put_in_form(form, memory.question, team, spec, recorder, token)
            asked, is_reply = memory.question.task.text, memory.waits_for is not None
            ending = replace(ending, asked=asked, is_reply=is_reply, members=len(participant_names(team)))
            recorder.tell_answer(ending)
        not_kept = await memory.keep(team, spec.id, recorder.log, ending.handover)
        if not memory.was_recalled:
            recorder.tell_memory_failure("not_recalled", NOT_RECALLED)
        if not_kept is not None:
            recorder.tell_memory_failure("not_kept", not_kept)
        if form is not None and ending.handover is not None:
            question = "" if recorder.last is None else one_line(recorder.last.content, 300)
            raise SchemaNotMet(f"the team ended with a question to the user, which is no JSON: {question}")

    def release(self, spec: TeamSpec | None) -> None:
        """Let go of everything at the end of the run of the team `spec`: teams are reference cycles."""
        self.recorder.release()
        self.calls.clear()
        if spec is not None and self.scope is not None:
            spec.toolbox.release(self.scope)
        self.team = self.scope = None

    async def _route(self, memory: ConversationMemory) -> TeamSpec:
        async def announce(event: Routing) -> None:
            self.recorder.log.append(event)

        *earlier, latest = memory.question.asked
        decision = await self.resources.router.route(
            latest,
            earlier=earlier,
            previous=memory.previous_team,
            is_reply=memory.waits_for is not None,
            announce=announce,
            allowed=self.request.allowed,
        )
        return self.resources.catalogue[decision.team]


async def _build_with_memory(
    spec: TeamSpec, memory: ConversationMemory, scope: RunScope
) -> tuple[Team, Sequence[BaseChatMessage]]:
    """The team and its task. The team gets its own state where there is one, else the conversation's messages.

    What it opens is closed with `scope`.
    """
    question = memory.question
    team = await _build(spec, scope)
    if memory.has_state_of(spec.id):
        asker, task = memory.waits_for, question.task
        if asker is not None:
            task = task._replace(text=routing_question(task.text))  # the reply is what the user typed
        if await memory.restore(team):
            wait_for_people(team)
            return team, reply_to(team, asker, await task_messages(task, sees_images=spec.sees_images))
        team = await _build(spec, scope)  # the first one may hold half of a state
    wait_for_people(team)
    await remember(team, question.history, sees_images=spec.sees_images)
    return team, await task_messages(question.task, sees_images=spec.sees_images)


async def _build(spec: TeamSpec, scope: RunScope) -> Team:
    team = await spec.build(scope)
    await tie_to_run(team, scope)
    return team


def _add_missing_pictures(recorder: Recorder, files: RunFiles) -> None:
    """Append pictures that the run promised to show and no agent put into the answer: models forget to repeat links.

    A streamed answer is continued by them; any other answer gets them when it is told at the end of the run.
    """
    recorder.close_all()
    answer = recorder.answer or recorder.last
    if answer is None:
        return
    shown = files.shown if answer.streamed else ()  # an answer that was not streamed shows them itself at the end
    before = "".join(f"{file.markdown}\n\n" for file in shown if file.id not in answer.content)
    after = "".join(f"\n\n{file.markdown}" for file in files.missing_in(answer.content))
    if after and answer.streamed:
        recorder.say(answer.agent, (TextDelta(after.removeprefix("\n\n")),))  # begins a paragraph of its own
        recorder.close_all()
    elif after and answer.content != recorder.untold:
        recorder.tell(Message(answer.agent, after))
    if before or after:
        whole = replace(answer, content=f"{before}{answer.content}{after}")
        if recorder.answer is None:
            recorder.last = whole
        else:
            recorder.answer = whole
