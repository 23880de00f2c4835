"""A2A's operations, for both bindings: https://a2a-protocol.org/latest/specification/#31-core-operations"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from aiostream_server.errors import Conflict, InvalidRequest
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.json_text import dump
from aiostream_server.intake.principal import Principal
from aiostream_server.intake.question import Question, Turn
from aiostream_server.protocols.a2a import NAME, dialect_for
from aiostream_server.protocols.a2a.errors import (
    no_push_notifications,
    not_cancelable,
    unsupported,
)
from aiostream_server.protocols.a2a.kept import KeptTask, later_run_id
from aiostream_server.protocols.a2a.request import (
    ListParams,
    SendParams,
    TaskParams,
    digest_of,
    kept_message,
    question_in,
    read_params,
)
from aiostream_server.protocols.a2a.stream import TaskFrames, TaskOptions
from aiostream_server.protocols.a2a.task import TERMINAL, Task
from aiostream_server.protocols.a2a.whole import result_body
from aiostream_server.protocols.dialect import Asked, Delivery
from aiostream_server.runs.card import RunView
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.starts import Idempotency
from aiostream_server.web.a2a_cards import card_for
from aiostream_server.web.a2a_tasks import Tasks, folded
from aiostream_server.web.asking import answer_body
from aiostream_server.web.lasting import UntilWritten
from aiostream_server.web.middlewares import Refusal
from aiostream_server.web.state import state_of
from aiostream_server.web.stream import stream_run
from aiostream_server.web.whole import json_bytes

_CANCEL_WAIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation. `around` and `refusal` are those of the binding."""

    request: web.Request
    principal: Principal
    params: Mapping[str, object]
    around: tuple[str, str]
    refusal: Refusal

    @property
    def tasks(self) -> Tasks:
        return Tasks(state_of(self.request).registry, self.principal.owner, self.request.match_info["model"])

    def answer(self, result: object, run: RunView | None = None) -> web.Response:
        headers = {} if run is None else {"X-Run-Id": run.id}
        return json_bytes(result_body(result, TaskOptions(self.around)), headers=headers)


Operation = Callable[[Call], Awaitable[web.StreamResponse]]


async def _send(call: Call) -> web.StreamResponse:
    return await _ask(call, streams=False)


async def _send_streaming(call: Call) -> web.StreamResponse:
    return await _ask(call, streams=True)


async def _ask(call: Call, *, streams: bool) -> web.StreamResponse:
    sent = read_params(SendParams, call.params)
    message, configuration = sent.message, sent.configuration
    if configuration.taskPushNotificationConfig is not None:
        raise no_push_notifications()
    digest = digest_of(message, call.params["message"])
    question = question_in(message)
    begun = _Begun(
        digest, message.contextId or f"context-{secrets.token_urlsafe(12)}", KeptTask(digest, kept_message(message))
    )
    if message.taskId is not None:
        begun = await _continued(call, message.taskId, message.contextId, begun.kept)
    delivery: Delivery = "whole"
    if streams or configuration.returnImmediately:
        delivery = "stream" if streams else "background"
    asked = Asked(
        call.request.match_info["model"],
        question,
        delivery,
        TaskOptions(call.around, configuration.historyLength, begun.earlier),
        on_disconnect="continue",  # a stream that closes ends nothing
        conversation=Conversation(begun.context_id, resends=False, by_name=True),
        idempotency_key=begun.idempotency_key,
        kept=begun.kept.encoded(),
        run_id=begun.run_id,
    )
    try:
        return await answer_body(
            call.request, dialect_for(asked, call.refusal), call.principal, dump({"message": digest})
        )
    except Conflict as exc:
        if begun.run_id is None:
            raise
        raise unsupported("another message has answered the task's question") from exc


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a message begins: a task, or the next run of one."""

    idempotency_key: str
    context_id: str
    kept: KeptTask
    run_id: str | None = None
    earlier: Task | None = None


async def _continued(call: Call, task_id: str, context_id: str | None, kept: KeptTask) -> _Begun:
    """Raises `RpcError` for a task that does not wait for an answer. A message that is sent again finds its run."""
    runs = await call.tasks.runs_of(task_id)
    latest = runs[-1].card()
    if context_id not in (None, latest.conversation):
        problem = f"message.contextId: the task {task_id!r} is part of another context"
        raise InvalidRequest(problem, param="message.contextId")
    known = [KeptTask.of(run.card()) for run in runs]
    repeated = next((index for index, each in enumerate(known) if each.digest == kept.digest), None)
    task = await folded(runs[:repeated])
    if repeated is not None:
        kept = known[repeated]
    elif task.state in TERMINAL:
        raise unsupported("the task is over: send the message without taskId to begin another one in its context")
    elif task.state != "TASK_STATE_INPUT_REQUIRED":
        raise unsupported("the task is being worked on: wait until it asks for something, or cancel it")
    else:
        kept = replace(kept, turn=known[-1].turn + 1, first_run=known[-1].first_run or runs[-1].id)
    run_id = later_run_id(kept.first_run, kept.turn)
    return _Begun(f"{task_id}.{kept.turn}", latest.conversation or "", kept, run_id, task)


async def _get_task(call: Call) -> web.StreamResponse:
    wanted = read_params(TaskParams, call.params)
    runs = await call.tasks.runs_of(wanted.id)
    return call.answer((await folded(runs)).shown(wanted.historyLength), runs[-1])


async def _list_tasks(call: Call) -> web.StreamResponse:
    wanted = read_params(ListParams, call.params)
    tasks, token, total = await call.tasks.page(wanted)
    shown = [task.shown(wanted.historyLength, with_artifacts=wanted.includeArtifacts) for task in tasks]
    return call.answer({"tasks": shown, "nextPageToken": token, "pageSize": wanted.pageSize, "totalSize": total})


async def _cancel_task(call: Call) -> web.StreamResponse:
    """End the task's run, or withdraw the question that it waits with; and wait a moment for its end."""
    wanted = read_params(TaskParams, call.params)
    runs = await call.tasks.runs_of(wanted.id)
    run = runs[-1]
    if run.card().finished is None:
        await run.stop("cancelled")
    elif (await folded(runs)).state in TERMINAL:
        raise not_cancelable("the task is over")
    else:
        run = await _withdraw(call, wanted.id, run)
        runs = [*runs, run]
    with suppress(TimeoutError):  # the answer then says that the task is still being worked on
        async with asyncio.timeout(_CANCEL_WAIT_S):
            await run.wait()
    return call.answer((await folded(runs)).shown(wanted.historyLength), run)


async def _withdraw(call: Call, task_id: str, latest: RunView) -> RunView:
    """The task's next run, which ends as cancelled. It stands in the place of a reply, so that only one of them counts.

    Raises `RpcError` where a reply came first.
    """
    card, state = latest.card(), state_of(call.request)
    known = KeptTask.of(card)
    kept = KeptTask("", {}, known.turn + 1, known.first_run or latest.id)
    request = RunRequest(
        Question(Turn("user", "")),
        card.model,
        owner=call.principal.owner,
        on_disconnect="continue",
        conversation=Conversation(card.conversation or "", resends=False, by_name=True),
        protocol=NAME,
        kept=kept.encoded(),
        run_id=later_run_id(kept.first_run, kept.turn),
        withdraws=card.ended_at or time.time(),
    )
    repeated = Idempotency(f"{task_id}.{kept.turn}", "withdrawn")
    try:
        return (await state.registry.find_or_start(request, repeated, state.resources)).run
    except Conflict as exc:
        raise not_cancelable("its question was answered in this moment: cancel again to end that work") from exc


async def _subscribe(call: Call) -> web.StreamResponse:
    """The task as it stands, and what happens to it from here on."""
    wanted = read_params(TaskParams, call.params)
    *earlier, run = await call.tasks.runs_of(wanted.id)
    task, card = await folded(earlier), run.card()
    with UntilWritten(run.watch()) as until:
        reader, frames = until.entered, TaskFrames(card, TaskOptions(call.around, wanted.historyLength))
        task.begin(card)
        while reader.after < card.last_seq:
            frames.catch_up(task, await reader.read())
        if task.state in TERMINAL:
            raise unsupported("the task is over: there is nothing to subscribe to; use GetTask")
        config = state_of(call.request).config.server
        return until.written(await stream_run(call.request, {"X-Run-Id": run.id}, reader, frames, config))


async def _no_push_notifications(_: Call) -> web.StreamResponse:
    raise no_push_notifications()


async def _extended_card(call: Call) -> web.StreamResponse:
    if not state_of(call.request).keys:
        raise unsupported("there is no other card than the public one")
    return call.answer(card_for(call.request, call.principal, call.request.match_info["model"]))


OPERATIONS: Final[Mapping[str, Operation]] = {
    "SendMessage": _send,
    "SendStreamingMessage": _send_streaming,
    "GetTask": _get_task,
    "ListTasks": _list_tasks,
    "CancelTask": _cancel_task,
    "SubscribeToTask": _subscribe,
    "CreateTaskPushNotificationConfig": _no_push_notifications,
    "GetTaskPushNotificationConfig": _no_push_notifications,
    "ListTaskPushNotificationConfigs": _no_push_notifications,
    "DeleteTaskPushNotificationConfig": _no_push_notifications,
    "GetExtendedAgentCard": _extended_card,
}
