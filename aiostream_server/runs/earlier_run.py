"""Whether a question may name an earlier run: one that it replies to, or one that it continues."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

from msgspec import structs

from aiostream_server.errors import Conflict, InvalidRequest, NotFound, RunGone, UnknownResponse
from aiostream_server.events import InputRequested
from aiostream_server.intake.conversation import Conversation
from aiostream_server.runs.archive import Archive, is_remembered, waits_for_reply
from aiostream_server.runs.card import RunView
from aiostream_server.runs.directory import Directory
from aiostream_server.runs.request import RunRequest

_END: Final = 8  # events: `InputRequested` is among the last
_PARAM: Final = "resume[0].interruptId"
_PREVIOUS: Final = "previous_response_id"


async def check_reply(directory: Directory, archive: Archive | None, request: RunRequest) -> None:
    """Raises `InvalidRequest` where the run that the request replies to has asked nothing in its conversation.

    A second reply is none to a waiting team, but not refused: it is an ordinary question. Of a run that is kept no
    longer, the memory of the conversation tells whether it waits for the user.
    """
    run_id, talk = request.replies_to, request.conversation
    if run_id is None or talk is None:
        return
    try:
        run = await directory.find(run_id, request.owner)
        has_asked = run.card().conversation == talk.name and await _has_asked(run)
    except RunGone:
        has_asked = True
    except NotFound:
        is_gone = archive is not None and await directory.latest(request.owner, talk.name) is None
        has_asked = is_gone and archive is not None and await waits_for_reply(archive, request.owner, talk.name)
    if not has_asked:
        problem = f"no question of this thread waits for a reply to {run_id[:80]!r}: send the id of the interrupt that "
        raise InvalidRequest(f"{_PARAM}: {problem}its last run ended with, or a message of the user", param=_PARAM)


async def continued(directory: Directory, archive: Archive | None, request: RunRequest, run_id: str) -> RunRequest:
    """The request with its conversation named, if that is a chain of answers; any other request is returned as it is.

    It may only begin if the answer that it continues is remembered, as a part of a chain or of a conversation that has
    a name of its own. Raises `Conflict` if that answer is not finished, and `UnknownResponse` if it is unknown.
    """
    talk = request.conversation
    if talk is None or not talk.is_chain:
        return request
    named = structs.replace(request, conversation=replace(talk, name=run_id))
    if (name := talk.continues) is None:
        return named
    with suppress(NotFound, RunGone):
        card = (await directory.find(name, request.owner)).card()
        if card.finished is None:
            raise Conflict("the response that this one continues is not finished: wait for it", param=_PREVIOUS)
        if (kept_in := card.conversation) is not None and kept_in != name:
            return structs.replace(request, conversation=Conversation(kept_in, resends=False, is_kept=talk.is_kept))
    if archive is None or not await is_remembered(archive, request.owner, name):
        message = f"{_PREVIOUS}: there is no such response, or nothing of it is remembered"
        raise UnknownResponse(message, param=_PREVIOUS)
    return named


async def _has_asked(run: RunView) -> bool:
    card = run.card()
    if card.finished is None:
        return False
    with run.watch(max(card.last_seq - _END, 0)) as reader:
        while reader.after < card.last_seq:
            if any(isinstance(entry.event, InputRequested) for entry in await reader.read()):
                return True
            await asyncio.sleep(0)  # `read` does not wait here: other tasks get their share of the event loop
    return False
