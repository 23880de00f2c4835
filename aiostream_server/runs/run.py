"""A run: one question on its way through one team, from `run_started` to `run_finished`.

A run is a task of its own; HTTP handlers only view its log. However it ends, its log ends with `RunFinished` after all
that was said until then, and none of its tasks is left.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from msgspec import structs

from aiostream_server.config.model import OnDisconnect
from aiostream_server.errors import ServerError, forget_traceback
from aiostream_server.events import Error, FinishReason, Restarted, RunFinished, RunStarted, TokenCount, Waiting
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.log.protocol import Log, Reader
from aiostream_server.observe.observer import current_observer
from aiostream_server.runs.budget import Budget
from aiostream_server.runs.card import RunCard, RunView
from aiostream_server.runs.failure import describe_failure, exception_name
from aiostream_server.runs.recorder import Recorder
from aiostream_server.runs.request import RunRequest, RunResources
from aiostream_server.runs.slot_wait import SlotWait
from aiostream_server.runs.supervision import Deadlines, RunCancellation, end_work
from aiostream_server.runs.team_work import TeamWork
from aiostream_server.teams.autogen_private.team_facts import tools_in_threads
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.teams.containment import RunLabel, cancelled_from_inside, contain_tasks
from aiostream_server.text import clipped, typed_question

_FORGOTTEN: Final = Question(Turn("user", ""))
_SHOWN_CHARS: Final = 500  # of a question, kept as long as the run

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EarlierAttempts:
    """The attempts of failed processes at a run: how many, when the first one began (Unix time), and what they have
    cost."""

    count: int
    created_at: float
    usage: TokenCount


class Run:
    """A `RunView` of a run that this process drives. `created_at` is Unix time; `finished` is the last event.

    `elsewhere` is the same run once another process has taken it over: what its log has here is not what others see.

    A finished run keeps its log and its `request`, without the question: that may hold megabytes of images.
    """

    def __init__(
        self,
        run_id: str,
        request: RunRequest,
        resources: RunResources,
        log: Log,
        earlier: EarlierAttempts | None = None,
    ) -> None:
        self.id: Final = run_id
        self.log: Final = log
        self.resources: Final = resources
        self.request = request
        self.earlier: Final = earlier
        self.created_at: Final = time.time() if earlier is None else earlier.created_at
        self._asked: Final = clipped(typed_question(request.question.task.text), _SHOWN_CHARS)
        self.spec = request.spec
        self.elsewhere: RunView | None = None
        self.finished: RunFinished | None = None
        self._ended_at: float | None = None
        self._asks_user = False
        self._ending: asyncio.Future[FinishReason | Error] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._started_at = time.monotonic() - max(0.0, time.time() - self.created_at)

    @property
    def owner(self) -> Owner:
        return self.request.owner

    @property
    def on_disconnect(self) -> OnDisconnect:
        """What happens when the last viewer leaves."""
        of_team = self.spec.config.on_disconnect if self.spec is not None else None
        return self.request.on_disconnect or of_team or self.request.by_default

    def card(self) -> RunCard:
        if self.elsewhere is not None:
            return self.elsewhere.card()
        return RunCard(
            id=self.id,
            model=self.request.model,
            team=None if self.spec is None else self.spec.id,
            conversation=self._conversation,
            on_disconnect=self.on_disconnect,
            created_at=self.created_at,
            last_seq=self.log.committed,
            finished=self.finished,
            error=self.error,
            question=self._asked,
            protocol=self.request.protocol,
            kept=self.request.kept,
            ended_at=self._ended_at,
            asks_user=self._asks_user,
        )

    @property
    def error(self) -> Error | None:
        """Why a finished run has failed."""
        if self.finished is None or self.finished.reason != "error":
            return None
        last_two = self.log.since(self.log.committed - 2)
        return next((entry.event for entry in last_two if isinstance(entry.event, Error)), None)

    @property
    def _conversation(self) -> str | None:
        return None if self.request.conversation is None else self.request.conversation.name

    def start(
        self, *, wait: SlotWait | None = None, after: Sequence[RunView] = (), on_end: Callable[[], object]
    ) -> None:
        """Begin once `wait` has got a slot, and the runs in `after` have ended.

        Calls `on_end` when this one has ended, however it does.
        """
        self._task = asyncio.create_task(self._execute(wait, after), name=self.id)
        self._task.add_done_callback(lambda _: on_end())

    def watch(self, after: int = 0) -> AbstractContextManager[Reader]:
        return _Watching(self, after) if self.elsewhere is None else self.elsewhere.watch(after)

    def end(self, reason: FinishReason | Error) -> None:
        """Like `stop`, for this process's own code; an `Error` is written into the log."""
        if not self._ending.done():
            self._ending.set_result(reason)

    async def stop(self, reason: FinishReason) -> None:
        if self.elsewhere is None:
            self.end(reason)
        else:
            await self.elsewhere.stop(reason)

    async def wait(self) -> None:
        await self.wait_here()
        if self.elsewhere is not None:
            await self.elsewhere.wait()

    async def wait_here(self) -> None:
        """Wait until this process does nothing more for it."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _execute(self, wait: SlotWait | None, after: Sequence[RunView]) -> None:
        request, observer = self.request, self.resources.observer
        structlog.contextvars.bind_contextvars(run_id=self.id)
        label = RunLabel(self.id)
        contain_tasks(run=label)
        current_observer.set(observer)
        question = request.question.task.text
        about = {"model": request.model, "question": question, "protocol": request.protocol}
        with observer.run(self.id, **about, conversation=self._conversation) as observed:

            def chosen(spec: TeamSpec) -> None:
                self.spec = spec
                label.team = spec.id
                observed.chose(spec.id)

            self.log.on_event = observed.event
            self.log.append(RunStarted(request.model) if self.earlier is None else Restarted(self.earlier.count + 1))
            work = TeamWork(request, self.resources, self._new_recorder(), on_chosen=chosen)
            ending: FinishReason | Error = "interrupted"
            try:
                if wait is not None and not wait.is_over:
                    await self._wait_for_slot(wait)
                if after and not self._ending.done():
                    await self._wait_for_turn(after)
                ending = await self._supervise(work)
            finally:
                self._finish(work, ending)
                self.log.on_event = None

    def _new_recorder(self) -> Recorder:
        limits, question = self.resources.limits, self.request.question
        budget = Budget(
            self.end,
            max_tokens=min(filter(None, (question.max_tokens, limits.max_tokens_per_run)), default=None),
            max_turns=limits.max_turns_per_run,
            max_tool_calls=limits.max_tool_calls_per_run,
            max_own_calls=question.max_own_calls,
        )
        return Recorder(self.log, budget, question.options, partial(self.resources.steps.wait, self.owner))

    async def _wait_for_slot(self, wait: SlotWait) -> None:
        """Until it has one, or is refused it, or is stopped. No deadline runs yet."""
        try:
            await self._until_stopped(wait.until_over(self.log.append))
        except ServerError as refusal:
            self.end(describe_failure(refusal))

    async def _wait_for_turn(self, after: Sequence[RunView]) -> None:
        """Until those have ended, or this one is stopped. No deadline runs yet."""
        words = "your earlier question" if len(after) == 1 else f"your {len(after)} earlier questions"
        self.log.append(Waiting(f"Waiting for {words} to be answered", "turn", position=len(after)))
        await self._until_stopped(_all_ended(after))  # not `gather`, which complains if it is cancelled unawaited
        if not self._ending.done():
            self.log.append(Waiting("It is your turn", "turn", position=0))

    async def _until_stopped(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Raises what `waiting` raises. It is cancelled when the run is stopped."""
        task = asyncio.create_task(waiting)
        both: set[asyncio.Future[Any]] = {task, self._ending}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            task.cancel()

    async def _supervise(self, work: TeamWork) -> FinishReason | Error:
        """Work until it is done, fails, or is ended."""
        token = RunCancellation()  # it references every message that was read under it: it lives as long as the task
        performing = work.perform(token, asked_at=self.created_at)
        task = asyncio.create_task(performing, name=f"{self.id}-work")
        task.add_done_callback(partial(self._work_ended, work))
        deadlines = Deadlines(self.log, self.resources.limits, self.end)
        try:
            ending = await self._ending
        finally:
            was_cut = not task.done()
            deadlines.close()
            await end_work(task, token, lambda: work.team)
        if was_cut:
            _report_threads(work)
        return ending

    def _work_ended(self, work: TeamWork, task: asyncio.Task[None]) -> None:
        if self._ending.done():
            return
        if task.cancelled():
            self.end(describe_failure(cancelled_from_inside("the team")))
        elif exc := task.exception():
            error = describe_failure(exc, work.recorder.failures)
            self.end(error)
            # The message may repeat what a user wrote: clients and debug logs get it, the warning does not.
            _log.warning("team_failed", code=error.code, exception=exception_name(exc))
            _log.debug("team_failure", exc_info=exc)
            forget_traceback(exc)
        else:
            self.end("stop" if self.request.withdraws is None else "cancelled")

    def _finish(self, work: TeamWork, ending: FinishReason | Error) -> None:
        """Write `RunFinished`, whatever else goes wrong."""
        recorder = work.recorder
        duration_s = round(time.monotonic() - self._started_at, 6)
        usage = recorder.usage if self.earlier is None else self.earlier.usage + recorder.usage
        finished = RunFinished("error", usage, duration_s, work.stop_reason)
        try:
            recorder.close_all()
            if isinstance(ending, Error):
                self.log.append(ending)
            else:
                reason = _with_the_answers(ending, recorder)
                finished = RunFinished(reason, usage, duration_s, work.stop_reason)
            self._log_line(recorder, ending, finished)
        finally:
            self.finished = finished
            self.log.append(finished)
            self._ended_at = self.log.since(self.log.committed - 1)[0].timestamp
            self._asks_user = recorder.asks_user and finished.reason == "stop"
            self.request = structs.replace(self.request, question=_FORGOTTEN)
            work.release(self.spec)

    def _log_line(self, recorder: Recorder, ending: FinishReason | Error, finished: RunFinished) -> None:
        """The one line of this run. It holds nothing that a user or a model wrote."""
        first = recorder.first_token_at
        _log.info(
            "run_finished",
            team=self.spec.id if self.spec is not None else None,
            agents=tuple(recorder.agents),
            outcome=finished.reason,
            error=ending.code if isinstance(ending, Error) else None,
            prompt_tokens=finished.usage.prompt_tokens,
            completion_tokens=finished.usage.completion_tokens,
            time_to_first_token_s=None if first is None else round(first - self._started_at, 4),
            duration_s=round(finished.duration_s, 4),
        )


class _Watching:
    """A viewer of a run of this process. A generator for each would take 0.3 KiB more."""

    __slots__ = ("_after", "_reader", "_run")

    def __init__(self, run: Run, after: int) -> None:
        self._run = run
        self._after = after
        self._reader: Reader

    def __enter__(self) -> Reader:
        self._reader = self._run.log.reader(self._after)
        return self._reader

    def __exit__(self, *error: Any) -> None:
        run = self._run
        try:
            if run.log.viewers == 1 and run.on_disconnect == "cancel":
                run.end("cancelled")
        finally:
            self._reader.__exit__(*error)


async def _all_ended(runs: Sequence[RunView]) -> None:
    for run in runs:
        await run.wait()


def _with_the_answers(ending: FinishReason, recorder: Recorder) -> FinishReason:
    """The run's reason: that of its answer where the run itself ended well."""
    if ending != "stop":
        return ending
    if recorder.has_called_client:
        return "tool_calls"
    answer = recorder.ended
    return answer if answer in ("length", "content_filter", "refusal") else ending


def _report_threads(work: TeamWork) -> None:
    """Warn of tools in threads: ending a run cannot interrupt them."""
    if work.team is not None:
        tools = work.recorder.calls.heard.unanswered & tools_in_threads(work.team)
        if tools:
            _log.warning("tool_thread_left_behind", tools=sorted(tools))
