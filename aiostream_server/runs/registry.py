"""Starts, finds and ends runs."""

import asyncio
import secrets
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec import structs

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import NotFound, RunGone, ServerError, ShuttingDown
from aiostream_server.events import FinishReason
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Turn
from aiostream_server.log.protocol import Log, LogFactory
from aiostream_server.runs.admission import Admission
from aiostream_server.runs.archive import forget, remembered_turns
from aiostream_server.runs.card import RunView
from aiostream_server.runs.directory import Directory
from aiostream_server.runs.earlier_run import check_reply, continued
from aiostream_server.runs.failure_memory import FailureMemory
from aiostream_server.runs.request import RunRequest, RunResources
from aiostream_server.runs.run import EarlierAttempts, Run
from aiostream_server.runs.slot_wait import SlotWait
from aiostream_server.runs.starts import Idempotency, StartedRun, Starts
from aiostream_server.runs.turns import Turns

_MAX_LISTED: Final = 1_000  # runs of one owner
_UNCERTAIN: Final = 8  # callers that may want no run after all: their question is invalid, or asks for a title


def _no_registry(registry: "Registry") -> None:
    """The `attach` of a backend for one process: no other one takes over its runs."""


@dataclass(frozen=True, slots=True)
class RunBackend:
    """What several processes may share: given to the registry by `service.composition`."""

    directory: Directory
    admission: Admission
    turns: Turns
    starts: Starts
    new_log: LogFactory
    attach: Callable[["Registry"], object] = _no_registry
    """Called with the registry, once there is one."""


class Registry:
    """The runs of this process, and through its backend those that others share. For one event loop."""

    def __init__(self, resources: RunResources, backend: RunBackend) -> None:
        self.ended = 0
        self._resources = resources
        self._directory: Final = backend.directory
        self._admission: Final = backend.admission
        self._turns: Final = backend.turns
        self._starts: Final = backend.starts
        self._new_log: Final = backend.new_log
        self._live: dict[str, Run] = {}
        self._failures: Final = FailureMemory()
        self._ending: FinishReason | None = None
        backend.attach(self)

    def __len__(self) -> int:
        """How many runs are live in this process."""
        return len(self._live)

    @property
    def is_closing(self) -> bool:
        return self._admission.is_closed

    @property
    def queued(self) -> int:
        """How many callers wait for a slot."""
        return self._admission.queued

    @property
    def viewers(self) -> int:
        return sum(run.log.viewers for run in self._live.values())

    @property
    def limits(self) -> LimitsConfig:
        """The limits of new runs."""
        return self._resources.limits

    def renew(self, resources: RunResources) -> None:
        """Make later runs of `resources`. Runs that are live or queued keep theirs; the new limits count them."""
        self._resources = resources
        self._failures.clear()
        self._turns.set_policy(resources.concurrent_turns)
        self._directory.limit(resources.limits)
        self._admission.limit(resources.limits)

    def refusal(self, owner: Owner, idempotency_key: str | None = None) -> ServerError | None:
        """What starting a run will raise. None where it may not, or where the key has started one already.

        Of callers that wait for their `turn` all but a few count: in a burst, those that will find no slot do not wait
        for it.
        """
        ahead = self._resources.steps.ahead_of(owner) - _UNCERTAIN
        refusal = self._admission.refusal(owner, max(ahead, 0))
        if refusal is None or self._turns.may_free_a_slot(owner):
            return None
        if idempotency_key is not None and self._starts.is_known(owner, idempotency_key):
            return None
        return refusal

    async def turn(self, owner: Owner) -> None:
        """Wait before the expensive part of a question: only some are begun in each turn of the event loop."""
        await self._resources.steps.wait(owner)

    async def find_or_start(
        self, request: RunRequest, idempotency: Idempotency | None, resources: RunResources
    ) -> StartedRun:
        """Find the run that the same idempotency key has started, or `start` one of the `resources`.

        Without a key, the run that has just failed on the same question is found, too. Raises what `start` raises, and
        `Conflict` for a key that was used for something else.
        """
        if idempotency is None:
            failed = await self._failed(request)
            return StartedRun(failed or await self.start(request, resources), is_replay=failed is not None)
        self._directory.drop()  # frees the keys of runs past their retention
        return await self._starts.find_or_start(request.owner, idempotency, lambda: self.start(request, resources))

    async def start(self, request: RunRequest, resources: RunResources | None = None) -> Run:
        """Admit a run and start it, by default with the latest resources.

        Raises `TooManyRuns`, `ShuttingDown`, `Conflict` if the conversation is busy or the answer that it continues is
        not there yet, `UnknownResponse` if nothing is known of that, and `InvalidRequest` for a reply to nothing.
        """
        self._directory.drop()
        resources = resources or self._resources
        await check_reply(self._directory, resources.archive, request)
        run_id = request.run_id or f"run-{secrets.token_urlsafe(18)}"
        request = await continued(self._directory, resources.archive, request, run_id)
        log = self._new_log(run_id, max_bytes=resources.limits.max_log_bytes)
        return await self._begin(run_id, request, resources, log)

    @property
    def restartable(self) -> Collection[str]:
        """The ids of the teams that may begin a turn again here, where another process has failed."""
        if self.is_closing:
            return ()
        return [team.id for team in self._resources.catalogue if team.config.restart == "turn"]

    async def begin_again(self, run_id: str, request: RunRequest, team: str, log: Log, earlier: EarlierAttempts) -> Run:
        """Begin the turn of a run again that a failed process drove. `log` goes on behind its events.

        Raises `KeyError` for a team that is served no longer, `TooManyRuns` where the run has lost its slot, and
        `ShuttingDown`.
        """
        resources = self._resources
        request = structs.replace(request, spec=resources.catalogue[team])
        return await self._begin(run_id, request, resources, log, earlier)

    async def _begin(
        self,
        run_id: str,
        request: RunRequest,
        resources: RunResources,
        log: Log,
        attempts: EarlierAttempts | None = None,
    ) -> Run:
        key = request.turn_key
        with resources.references, ExitStack() as undo:
            if key is not None and attempts is None:
                await self._turns.prepare(key)
            wait, leave = await self._enter(request, run_id)
            undo.callback(leave)
            if self.is_closing:  # admitted without Redis, whose answer was waited for meanwhile
                raise ShuttingDown
            run = Run(run_id, request, resources, log, attempts)
            earlier: Sequence[RunView] = ()
            if key is not None:
                earlier = await self._turns.enter(key, run)
                undo.callback(self._turns.leave, key, run)
            await self._directory.put(run)
            undo.pop_all()
            self._live[run_id] = run
            resources.references.acquire()
            run.start(wait=wait, after=earlier, on_end=lambda: self._ended(run, leave))
            if self._ending is not None:
                run.end(self._ending)
        return run

    async def _enter(self, request: RunRequest, run_id: str) -> tuple[SlotWait | None, Callable[[], object]]:
        """Take a slot; where the request `tells_waiting`, a place in the queue is enough. Returns the wait for it, if
        there is one, and what gives the slot back."""
        if request.withdraws is not None:
            if self.is_closing:
                raise ShuttingDown
            return None, _nothing_to_leave
        if not request.tells_waiting:
            await self._admission.enter(request.owner, run_id)
            return None, partial(self._admission.leave, run_id)
        wait = SlotWait(self._admission, request.owner, run_id)
        try:
            await wait.until_queued()
        except BaseException:
            wait.release()
            raise
        return wait, wait.release

    async def _failed(self, request: RunRequest) -> RunView | None:
        """The run that has just failed on the same question, as long as it is kept."""
        run_id = self._failures.find(request.owner, request.fingerprint) if request.fingerprint else None
        if run_id is None:
            return None
        try:
            return await self._directory.find(run_id, request.owner)
        except (NotFound, RunGone):
            return None

    async def find(self, run_id: str, owner: Owner | None) -> RunView:
        """Raises `NotFound` for a run that is not this owner's, `RunGone` for one that was dropped. Without an owner it
        finds anyone's: the caller has a signed link."""
        return await self._directory.find(run_id, owner)

    async def delete(self, run_id: str, owner: Owner) -> None:
        """Forget a run, and what is remembered of it as a conversation of its own. One that is live is ended.

        Raises `NotFound` where there is nothing to forget.
        """
        try:
            run = await self._directory.find(run_id, owner)
            await run.stop("cancelled")
            await run.wait()
            await self._directory.delete(run_id, owner)
        except (NotFound, RunGone):
            if not await self._forget(run_id, owner):
                raise
        else:
            await self._forget(run_id, owner)

    async def _forget(self, run_id: str, owner: Owner) -> bool:
        archive = self._resources.archive
        return archive is not None and await forget(archive, owner, run_id)

    async def list(self, owner: Owner, limit: int) -> Sequence[RunView]:
        """The owner's latest runs, newest first."""
        return await self._directory.list(owner, limit)

    async def latest(self, owner: Owner, conversation: str) -> RunView | None:
        """The run that was started last in this conversation of the owner's, as long as it is kept."""
        return await self._directory.latest(owner, conversation)

    async def conversation(self, owner: Owner, name: str) -> Sequence[RunView]:
        """The runs of this conversation of the owner's that are kept, the first one first."""
        runs = await self._directory.list(owner, _MAX_LISTED)
        return sorted((run for run in runs if run.card().conversation == name), key=lambda run: run.card().created_at)

    async def remembered(self, owner: Owner, conversation: str) -> Sequence[Turn]:
        """What was said in a conversation, as far as it is remembered, whether its runs are kept or not."""
        archive = self._resources.archive
        return () if archive is None else await remembered_turns(archive, owner, conversation)

    async def drain(self) -> None:
        """Admit no more runs; wait until the live ones have ended."""
        self._admission.close()
        while self._live:
            await asyncio.gather(*(run.wait_here() for run in tuple(self._live.values())))

    async def close(self, reason: FinishReason = "interrupted") -> None:
        """Admit no more runs; end the live ones, and those that are just beginning, and wait for them."""
        self._admission.close()
        self._ending = reason
        for run in tuple(self._live.values()):
            run.end(reason)
        await self.drain()

    def _ended(self, run: Run, leave: Callable[[], object]) -> None:
        if self._live[run.id] is run:  # else this process lost it to another one, and has begun its turn again since
            del self._live[run.id]
        run.resources.references.release()
        self.ended += 1
        if (key := run.request.turn_key) is not None:
            self._turns.leave(key, run)
        leave()
        self._directory.finish(run)
        request, error = run.request, run.error
        if error is not None and request.fingerprint:
            remembered_s = run.resources.failure_memory_s
            self._failures.note(request.owner, request.fingerprint, run.id, error, for_s=remembered_s)


def _nothing_to_leave() -> None:
    """The run has no slot."""
