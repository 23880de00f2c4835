"""The caller's tasks of one model: found, read and listed. Those of other callers and models do not exist here."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Final

from aiostream_server.errors import InvalidRequest, NotFound, RunGone
from aiostream_server.intake.principal import Owner
from aiostream_server.protocols.a2a import NAME
from aiostream_server.protocols.a2a.errors import task_not_found
from aiostream_server.protocols.a2a.kept import KeptTask, later_run_id, run_id_of, task_id_of
from aiostream_server.protocols.a2a.request import ListParams
from aiostream_server.protocols.a2a.task import Task
from aiostream_server.protocols.a2a.updates import TaskState, state_at_end
from aiostream_server.runs.card import RunCard, RunView
from aiostream_server.runs.registry import Registry
from aiostream_server.web.offer import canonical_id

_MAX_LOOKED_AT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Tasks:
    """One caller's tasks of one model."""

    registry: Registry
    owner: Owner
    model: str

    async def runs_of(self, task_id: str) -> Sequence[RunView]:
        """All that are still kept, in order. Raises `RpcError` where there are none."""
        first, found, is_gone = run_id_of(task_id), [], False
        if first is None:
            raise task_not_found(task_id)
        for turn in count(1):
            try:
                found.append(await self.registry.find(first if turn == 1 else later_run_id(first, turn), self.owner))
            except RunGone:
                is_gone = True
            except NotFound:
                break
        runs = [run for run in found if self._is_task(run.card())]
        if not runs:
            raise task_not_found(task_id, is_gone=is_gone)
        return runs

    async def page(self, wanted: ListParams) -> tuple[Sequence[Task], str, int]:
        """The tasks of a page, latest change first; the token of the next page, or nothing; and how many there are."""
        after, cursor = _time(wanted.statusTimestampAfter), _cursor(wanted.pageToken)
        listed: list[tuple[float, str, Sequence[RunView]]] = []
        for task_id, runs in (await self._latest()).items():
            if wanted.contextId not in ("", runs[-1].card().conversation):
                continue
            state, updated_at = await _standing(runs[-1])
            if wanted.status in ("TASK_STATE_UNSPECIFIED", state) and updated_at >= after:
                listed.append((updated_at, task_id, runs))
        listed.sort(key=lambda each: each[:2], reverse=True)
        rest = [each for each in listed if cursor is None or each[:2] < cursor]
        page, more = rest[: wanted.pageSize], rest[wanted.pageSize :]
        token = _token(page[-1][:2]) if more else ""
        return [await folded(runs) for _, _, runs in page], token, len(listed)

    async def _latest(self) -> dict[str, list[RunView]]:
        """The runs of each task, in order."""
        tasks: dict[str, list[RunView]] = {}
        for run in await self.registry.list(self.owner, _MAX_LOOKED_AT):
            card = run.card()
            if self._is_task(card):
                tasks.setdefault(task_id_of(card), []).append(run)
        for runs in tasks.values():
            runs.sort(key=lambda run: KeptTask.of(run.card()).turn)
        return tasks

    def _is_task(self, card: RunCard) -> bool:
        return card.protocol == NAME and canonical_id(card.model) == canonical_id(self.model)


async def _standing(latest: RunView) -> tuple[TaskState, float]:
    """The state of the task whose latest run that is, and since when. Events are read of a live one only."""
    card = latest.card()
    if card.finished is not None and card.ended_at is not None:
        return state_at_end(card.finished.reason, asks_user=card.asks_user), card.ended_at
    task = await folded([latest])
    return task.state, task.updated_at


async def folded(runs: Sequence[RunView]) -> Task:
    """The task after these runs as they are now."""
    task = Task()
    for run in runs:
        card = run.card()
        task.begin(card)
        with run.watch() as reader:
            while reader.after < card.last_seq:
                task.add(await reader.read())
                await asyncio.sleep(0)  # `read` does not wait here: other tasks get their share of the event loop
    return task


def _token(cursor: tuple[float, str]) -> str:
    at, task_id = cursor
    return urlsafe_b64encode(f"{at!r} {task_id}".encode()).decode()


def _cursor(token: str) -> tuple[float, str] | None:
    if not token:
        return None
    try:
        at, task_id = urlsafe_b64decode(token).decode("ascii").split(" ")
        return float(at), task_id
    except ValueError as exc:
        raise InvalidRequest("pageToken: is not one that this server gave", param="pageToken") from exc


def _time(text: str) -> float:
    """Unix time; the beginning of time where there is no text."""
    if not text:
        return 0.0
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as exc:
        problem = "statusTimestampAfter: expected a time such as 2026-01-31T12:00:00Z"
        raise InvalidRequest(problem, param="statusTimestampAfter") from exc
