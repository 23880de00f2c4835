"""What a run does with its team: recall the conversation, choose, build and drive the team, keep what it remembers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from autogen_core import CancellationToken
from msgspec import structs

from aiostream_server.errors import SchemaNotMet
from aiostream_server.events import Routing
from aiostream_server.events.fixed_notices import NOT_RECALLED
from aiostream_server.models.call_memory import CallMemory, current_calls
from aiostream_server.models.token_sink import current_sink
from aiostream_server.runs.archive import withdraw
from aiostream_server.runs.closing_events import (
    add_missing_pictures,
    ask_user,
    request_calls,
    tell_answer,
    tell_memory_failure,
)
from aiostream_server.runs.conversation_memory import ConversationMemory
from aiostream_server.runs.last_call import put_in_form
from aiostream_server.runs.prepared_team import prepare
from aiostream_server.runs.recorder import Recorder
from aiostream_server.runs.request import RunRequest, RunResources
from aiostream_server.runs.speakers import Speakers
from aiostream_server.runs.team_driver import drive
from aiostream_server.runs.team_ending import TeamEnding
from aiostream_server.runs.translator import Translator
from aiostream_server.store.run_files import RunFiles, current_files
from aiostream_server.teams.autogen_private.team_facts import participant_names
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.teams.tools.scope import RunScope
from aiostream_server.text import one_line, typed_question
from aiostream_server.tools.chart.painter import current_painter
from aiostream_server.tools.sql.schema_choice.asked_so_far import current_questions


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
    questions: list[str] = field(default_factory=list)

    async def perform(self, token: CancellationToken, *, asked_at: float) -> None:
        """All of it. Raises what the team raises, and `ToolFailed`. `asked_at` is Unix time."""
        request, recorder = self.request, self.recorder
        if request.withdraws is not None:
            await self._withdraw(until=request.withdraws)
            return
        current_calls.set(self.calls)
        memory = ConversationMemory(
            self.resources.archive, request.owner, request.conversation, request.question, self.calls, asked_at=asked_at
        )
        await memory.recall()
        spec = request.spec or await self._route(memory)
        self.on_chosen(spec)
        ending = await self._answer(spec, memory, token)
        self.stop_reason = ending.stop_reason_line
        recorder.close_all()
        await self._tell_ending(ending, spec, memory, token)
        if memory.is_kept or spec.config.restart == "turn" or recorder.log.is_in_doubt:
            await recorder.log.complete()
        not_kept = await memory.keep(self.team, spec.id, recorder.log, ending.handover)
        if not memory.was_recalled:
            tell_memory_failure(recorder, "not_recalled", NOT_RECALLED)
        if not_kept is not None:
            tell_memory_failure(recorder, "not_kept", not_kept)
        if ending.handover is not None and not ending.calls_client and memory.question.form is not None:
            question = "" if recorder.last is None else one_line(recorder.last.content, 300)
            raise SchemaNotMet(f"the team ended with a question to the user, which is no JSON: {question}")

    async def _withdraw(self, *, until: float) -> None:
        archive, talk = self.resources.archive, self.request.conversation
        if archive is not None and talk is not None:
            await withdraw(archive, self.request.owner, talk.name, asked_until=until)

    async def _answer(self, spec: TeamSpec, memory: ConversationMemory, token: CancellationToken) -> TeamEnding:
        """Build the team and let it work, with what its tools and models find in the context of this task."""
        request, resources, recorder = self.request, self.resources, self.recorder
        files = None
        if resources.files is not None and request.link_base:
            files = RunFiles(resources.files, request.owner, request.link_base)
        current_files.set(files)
        current_painter.set(resources.painter)
        self.questions = [typed_question(asked) for asked in memory.question.asked]
        current_questions.set(self.questions)
        self.scope = spec.toolbox.scope()
        prepared = await prepare(spec, memory, self.scope)
        tools, awaits_form = prepared.client_tools, request.question.form is not None
        recorder.listen_to(Speakers(prepared.speakers, prepared.answer_from, spec.config.roles, awaits_form), tools)
        current_sink.set(recorder)
        self.team = prepared.team
        ending = await drive(prepared.team, prepared.task, Translator(recorder, prepared.code_runners), token, tools)
        if files is not None:
            if not ending.calls_client:
                add_missing_pictures(recorder, files)
            await files.settle()
        return ending

    async def _tell_ending(
        self, ending: TeamEnding, spec: TeamSpec, memory: ConversationMemory, token: CancellationToken
    ) -> None:
        """The answer, in the form that the request wants; or what the team waits for."""
        recorder, question, handover = self.recorder, memory.question, ending.handover
        if handover is None:
            if question.form is not None:
                await put_in_form(question.form, question, self.team, spec, recorder, token)
            is_reply, members = memory.waits_for is not None, len(participant_names(self.team))
            tell_answer(recorder, structs.replace(ending, asked=question.task.text, is_reply=is_reply, members=members))
        elif ending.calls_client:
            request_calls(recorder, handover)
        else:
            ask_user(recorder, handover, can_reply=memory.is_kept)

    def release(self, spec: TeamSpec | None) -> None:
        """Let go of everything at the end of the run of the team `spec`: teams are reference cycles."""
        self.recorder.release()
        self.calls.clear()
        self.questions.clear()
        if spec is not None and self.scope is not None:
            spec.toolbox.release(self.scope)
        self.team = self.scope = None

    async def _route(self, memory: ConversationMemory) -> TeamSpec:
        async def announce(event: Routing) -> None:
            self.recorder.log.append(event)

        *earlier, latest = memory.question.asked
        allowed, has_results = self.request.allowed, bool(memory.question.tool_results)
        if has_results:  # only a team that calls the client's tools has asked for them
            callers = {team.id for team in self.resources.catalogue if team.config.takes_forced_calls}
            allowed = (callers if allowed is None else callers.intersection(allowed)) or allowed
        decision = await self.resources.router.route(
            latest,
            earlier=earlier,
            previous=memory.previous_team,
            is_reply=memory.waits_for is not None or has_results,
            announce=announce,
            allowed=allowed,
        )
        return self.resources.catalogue[decision.team]
