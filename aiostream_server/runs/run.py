"""A run: one question on its way through one team, from `run_started` to `run_finished`.

A run is a task of its own; HTTP handlers only view its log. However it ends, its log ends with `RunFinished` after all
that was said until then, and none of its tasks is left.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Final

import structlog

from aiostream_server.config.model import OnDisconnect
from aiostream_server.errors import TeamFailed
from aiostream_server.events import Error, FinishReason, RunFinished, RunStarted, TokenCount
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.log.protocol import Log, Reader
from aiostream_server.observe.observer import RunWatch, current_observer
from aiostream_server.runs.card import RunCard, RunView
from aiostream_server.runs.failure import describe_failure, exception_name
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.resources import RunResources
from aiostream_server.runs.supervision import RunCancellation, end_work, watch
from aiostream_server.runs.team_work import TeamWork
from aiostream_server.teams.autogen_private.structure import tools_in_threads
from aiostream_server.teams.catalogue import TeamSpec

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
        self._work: TeamWork | None = None
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
        """Until those have ended, or this one is stopped. No deadline runs yet."""
        if not after:
            return
        ended = asyncio.gather(*(run.wait() for run in after))
        both: set[asyncio.Future[Any]] = {ended, self._stop}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()

    async def _supervise(self, observed: RunWatch) -> FinishReason | Error:
        """Work until it is done, fails, or is ended."""

        def chosen(spec: TeamSpec) -> None:
            self.spec = spec
            observed.chose(spec.id)

        work = self._work = TeamWork(self.request, self.resources, self.log, on_chosen=chosen, end=self.end)
        token = RunCancellation()  # it references every message that was read under it: it lives as long as the task
        task = asyncio.create_task(work.perform(token, asked_at=self.created_at), name=f"{self.id}-work")
        try:
            ending = await watch(task, self._stop, self.log, self.resources.limits)
        finally:
            await end_work(task, token, lambda: work.team)
        if ending is None:
            return _failure(task)
        _report_threads(work)
        return ending

    def _finish(self, ending: FinishReason | Error) -> None:
        """Write `RunFinished`, whatever else goes wrong."""
        finished = self._finished("error")
        try:
            finished = self._last_words(ending)
            self._log_line(ending, finished)
        finally:
            self.finished = finished
            self.log.append(finished)
            self.request = replace(self.request, question=_FORGOTTEN)
            if self._work is not None and self.spec is not None:
                self._work.release(self.spec)
            self._work = None

    def _last_words(self, ending: FinishReason | Error) -> RunFinished:
        """Close the messages that are still open; then, of a failed run, say why."""
        recorder = self._work.recorder if self._work is not None else None
        if recorder is not None:
            recorder.close_all()
        if isinstance(ending, Error):
            self.log.append(ending)
            return self._finished("error")
        if ending == "stop" and recorder is not None and recorder.was_cut_short:
            return self._finished("length")
        return self._finished(ending)

    def _finished(self, reason: FinishReason) -> RunFinished:
        recorder = self._work.recorder if self._work is not None else None
        usage = recorder.usage if recorder is not None else TokenCount()
        return RunFinished(reason, usage, round(time.monotonic() - self._started_at, 6))

    def _log_line(self, ending: FinishReason | Error, finished: RunFinished) -> None:
        """The one line of this run. It holds nothing that a user or a model wrote."""
        writer = self._work.writer if self._work is not None else None
        first = writer.first_token_at if writer is not None else None
        _log.info(
            "run_finished",
            team=self.spec.id if self.spec is not None else None,
            agents=tuple(writer.agents) if writer is not None else (),
            outcome=finished.reason,
            error=ending.code if isinstance(ending, Error) else None,
            prompt_tokens=finished.usage.prompt_tokens,
            completion_tokens=finished.usage.completion_tokens,
            time_to_first_token_s=None if first is None else round(first - self._started_at, 4),
            duration_s=round(finished.duration_s, 4),
        )


def _report_threads(work: TeamWork) -> None:
    """Warn of tools in threads: ending a run cannot interrupt them."""
    if work.recorder is not None and work.team is not None:
        tools = work.recorder.calls.unanswered & tools_in_threads(work.team)
        if tools:
            _log.warning("tool_thread_left_behind", tools=sorted(tools))


def _failure(task: asyncio.Task[None]) -> FinishReason | Error:
    """How work that ended by itself ended."""
    if task.cancelled():
        return Error(TeamFailed.code, "the team cancelled itself before it was done")
    exc = task.exception()
    if exc is None:
        return "stop"
    error = describe_failure(exc)
    # The message may repeat what a user wrote: clients and debug logs get it, the warning does not.
    _log.warning("team_failed", code=error.code, exception=exception_name(exc))
    _log.debug("team_failure", exc_info=exc)
    return error
