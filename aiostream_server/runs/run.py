"""A run: one question on its way through one team, from `run_started` to `run_finished`.

A run is a task of its own. Handlers only view its log; whoever wants it to end calls `stop`. However it ends, its log
ends with `RunFinished`, what was said until then stands before it, and no task of it is left.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Final

import structlog
from autogen_core import CancellationToken

from aiostream_server.config.model import OnDisconnect
from aiostream_server.errors import TeamFailed
from aiostream_server.events import Error, FinishReason, Routing, RunFinished, RunStarted, TokenCount
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.log.protocol import Log, Reader
from aiostream_server.models.tap import current_sink
from aiostream_server.observe.observer import RunWatch, current_observer
from aiostream_server.runs.budget import Budget, WorkLimit
from aiostream_server.runs.cancellation import RunCancellation
from aiostream_server.runs.card import RunCard, RunView
from aiostream_server.runs.conversation_memory import ConversationMemory
from aiostream_server.runs.drive import drive
from aiostream_server.runs.failure import describe_failure, exception_name
from aiostream_server.runs.ledger import Ledger
from aiostream_server.runs.pictures import add_missing
from aiostream_server.runs.prepare import prepare
from aiostream_server.runs.recorder import Recorder
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.resources import RunResources
from aiostream_server.runs.supervise import end_work, watch
from aiostream_server.runs.translate import Translator
from aiostream_server.store.run_files import RunFiles, current_files
from aiostream_server.teams.autogen_private.structure import agent_names, answerers, code_runners, tools_in_threads
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.teams.tools.scope import RunScope
from aiostream_server.tools.chart.painter import current_painter

_FORGOTTEN: Final = Question(Turn("user", ""))

_log = structlog.get_logger()


class Run:
    """A `RunView` of a run that this process drives. `created_at` is Unix time; `finished` is the last event.

    A finished run keeps its log and its `request`, without the question: that may hold megabytes of images.
    """

    def __init__(self, run_id: str, request: RunRequest, resources: RunResources, log: Log) -> None:
        self.id: Final = run_id
        self.log: Final = log
        self.resources: Final = resources
        self.request = request
        self.created_at: Final = time.time()
        self.spec = request.spec
        self.finished: RunFinished | None = None
        self._team: object | None = None
        self._scope: RunScope | None = None
        self._ledger: Ledger | None = None
        self._recorder: Recorder | None = None
        self._stop: asyncio.Future[FinishReason | Error] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._started_at = time.monotonic()

    @property
    def owner(self) -> Owner:
        return self.request.owner

    @property
    def on_disconnect(self) -> OnDisconnect:
        """What happens when the last viewer leaves."""
        of_team = self.spec.config.on_disconnect if self.spec is not None else None
        return self.request.on_disconnect or of_team or self.request.by_default

    def card(self) -> RunCard:
        conversation = self.request.conversation
        return RunCard(
            id=self.id,
            model=self.request.model,
            team=None if self.spec is None else self.spec.id,
            conversation=None if conversation is None else conversation.name,
            on_disconnect=self.on_disconnect,
            created_at=self.created_at,
            last_seq=self.log.committed,
            finished=self.finished,
            error=self._error,
        )

    @property
    def _error(self) -> Error | None:
        """The last event but one of a failed run."""
        if self.finished is None:
            return None
        last_two = self.log.since(self.log.committed - 2)
        return next((entry.event for entry in last_two if isinstance(entry.event, Error)), None)

    def start(self, *, after: Sequence[RunView] = (), on_end: Callable[[], object]) -> None:
        """Begin once the runs in `after` have ended. Calls `on_end` when this one has ended, however it does."""
        self._task = asyncio.create_task(self._execute(after), name=self.id)
        self._task.add_done_callback(lambda _: on_end())

    @contextmanager
    def watch(self, after: int = 0) -> Iterator[Reader]:
        with self.log.reader(after) as reader:
            try:
                yield reader
            finally:
                if self.log.viewers == 1 and self.on_disconnect == "cancel":
                    self.end("cancelled")

    def end(self, reason: FinishReason | Error) -> None:
        """As `stop`, for this process's own code; an `Error` is written into the log."""
        if not self._stop.done():
            self._stop.set_result(reason)

    async def stop(self, reason: FinishReason) -> None:
        self.end(reason)

    async def wait(self) -> None:
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _execute(self, after: Sequence[RunView]) -> None:
        structlog.contextvars.bind_contextvars(run_id=self.id)
        current_observer.set(self.resources.observer)
        with self._observe() as observed:
            self.log.on_event = observed.event
            self.log.append(RunStarted(self.request.model))
            ending: FinishReason | Error = "interrupted"
            try:
                await self._wait_for_turn(after)
                ending = await self._supervise(observed)
            finally:
                self._finish(ending)
                self.log.on_event = None

    def _observe(self) -> AbstractContextManager[RunWatch]:
        request = self.request
        return self.resources.observer.run(
            self.id,
            model=request.model,
            question=request.question.task.text,
            conversation=None if request.conversation is None else request.conversation.name,
        )

    async def _wait_for_turn(self, after: Sequence[RunView]) -> None:
        """Until those are over, or this one is stopped. Nothing has begun yet that could time out."""
        if not after:
            return
        over = asyncio.gather(*(run.wait() for run in after))
        both: set[asyncio.Future[Any]] = {over, self._stop}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()

    async def _supervise(self, observed: RunWatch) -> FinishReason | Error:
        """Work until it is done, fails, or is ended."""
        token = RunCancellation()  # holds on to every message that was read under it: lives as long as the work
        work = asyncio.create_task(self._work(token, observed), name=f"{self.id}-work")
        try:
            ending = await watch(work, self._stop, self.log, self.resources.limits)
        finally:
            await end_work(work, token, lambda: self._team)
        if ending is None:
            return _failure(work)
        self._report_threads()
        return ending

    async def _work(self, token: CancellationToken, observed: RunWatch) -> None:
        """The run itself: recall, choose, build, remember, drive, answer, keep."""
        request = self.request
        recollection = ConversationMemory(
            self.resources.archive, request.owner, request.conversation, request.question, asked_at=self.created_at
        )
        await recollection.recall()
        spec = self.spec = self.spec or await self._route(recollection)
        observed.chose(spec.id)
        files = self._new_files()
        current_files.set(files)
        current_painter.set(self.resources.painter)
        scope = self._scope = spec.toolbox.scope()
        team, task = await prepare(spec, recollection, scope)
        recorder = self._recorder = self._new_recorder(spec, answerers(team))
        recorder.listen_to(agent_names(team))
        current_sink.set(recorder)
        self._team = team
        handover = await drive(team, task, Translator(recorder, code_runners(team)), token)
        if files is not None:
            add_missing(recorder, files)
            await files.settle()
        recorder.close_all()
        if handover is None:
            recorder.tell_answer()
        else:
            recorder.ask_user(handover.asker, can_reply=recollection.is_kept)
        await recollection.keep(team, spec.id, self.log, handover)

    async def _route(self, recollection: ConversationMemory) -> TeamSpec:
        async def announce(event: Routing) -> None:
            self.log.append(event)

        *earlier, latest = recollection.question.asked
        decision = await self.resources.router.route(
            latest,
            earlier=earlier,
            previous=recollection.previous_team,
            is_reply=recollection.waits_for is not None,
            announce=announce,
            allowed=self.request.allowed,
        )
        return self.resources.catalogue[decision.team]

    def _new_files(self) -> RunFiles | None:
        files, base = self.resources.files, self.request.link_base
        return RunFiles(files, self.request.owner, base) if files is not None and base else None

    def _new_recorder(self, spec: TeamSpec, answerers_by_default: Collection[str]) -> Recorder:
        limits = self.resources.limits
        bounds = [bound for bound in (self.request.question.max_tokens, limits.max_tokens_per_run) if bound]
        work_limit = WorkLimit(limits.max_turns_per_run, limits.max_tool_calls_per_run, self.end)
        self._ledger = Ledger(self.log, work_limit)
        return Recorder(
            self._ledger,
            budget=Budget(min(bounds, default=None), lambda: self.end("length")),
            roles=spec.config.roles,
            answer_from=spec.config.answer_from or answerers_by_default,
            options=self.request.question.options,
        )

    def _finish(self, ending: FinishReason | Error) -> None:
        """Whatever else goes wrong, the viewers are told that it is over."""
        finished = self._finished("error")
        try:
            finished = self._last_words(ending)
            self._log_line(ending, finished)
        finally:
            self.finished = finished
            self.log.append(finished)
            self.request = replace(self.request, question=_FORGOTTEN)
            if self._recorder is not None:
                self._recorder.release()
            if self._scope is not None and self.spec is not None:
                self.spec.toolbox.release(self._scope)
            # Teams are reference cycles: let go of what can be.
            self._team = self._recorder = self._ledger = self._scope = None

    def _last_words(self, ending: FinishReason | Error) -> RunFinished:
        """What was being said is said so far; then, of a failed run, why."""
        if self._recorder is not None:
            self._recorder.close_all()
        if isinstance(ending, Error):
            self.log.append(ending)
            return self._finished("error")
        if ending == "stop" and self._recorder is not None and self._recorder.was_cut_short:
            return self._finished("length")
        return self._finished(ending)

    def _finished(self, reason: FinishReason) -> RunFinished:
        usage = self._recorder.usage if self._recorder is not None else TokenCount()
        return RunFinished(reason, usage, round(time.monotonic() - self._started_at, 6))

    def _report_threads(self) -> None:
        """A run that was ended in the middle of a tool call: where that runs in a thread, it goes on."""
        if self._recorder is not None and self._team is not None:
            tools = self._recorder.unanswered_tools & tools_in_threads(self._team)
            if tools:
                _log.warning("tool_thread_left_behind", tools=sorted(tools))

    def _log_line(self, ending: FinishReason | Error, finished: RunFinished) -> None:
        """The one line of this run. Nothing that a user or a model wrote stands in it."""
        ledger = self._ledger
        first = ledger.first_token_at if ledger is not None else None
        _log.info(
            "run_finished",
            team=self.spec.id if self.spec is not None else None,
            agents=tuple(ledger.agents) if ledger is not None else (),
            outcome=finished.reason,
            error=ending.code if isinstance(ending, Error) else None,
            prompt_tokens=finished.usage.prompt_tokens,
            completion_tokens=finished.usage.completion_tokens,
            time_to_first_token_s=None if first is None else round(first - self._started_at, 4),
            duration_s=round(finished.duration_s, 4),
        )


def _failure(work: asyncio.Task[None]) -> FinishReason | Error:
    """How work that ended by itself ended."""
    if work.cancelled():
        return Error(TeamFailed.code, "the team cancelled itself before it was done")
    exc = work.exception()
    if exc is None:
        return "stop"
    error = describe_failure(exc)
    # What it says may repeat what a user wrote: that is for the client, and for whoever asks for debug logs.
    _log.warning("team_failed", code=error.code, exception=exception_name(exc))
    _log.debug("team_failure", exc_info=exc)
    return error
