"""Refuses questions that cannot be answered now before anything is done for them: before their body is read.

Auxiliary questions (titles, tags) take no run, and only their body tells what they are. So a full server still reads
some short requests: `_LOOKS_PER_S`. The others, and long ones, are refused unread.
"""

import time
from typing import Final

from aiohttp import web

from aiostream_server.intake.principal import Principal
from aiostream_server.web.state import state_of

_LOOKS_PER_S: Final = 20
_LOOK_BYTES: Final = 64 * 1024


class Allowance:
    """Some of something a second: those that were not taken in one second are lost in the next."""

    def __init__(self, per_s: int) -> None:
        self._per_s: Final = per_s
        self._left = per_s
        self._second = 0

    def take(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._left = second, self._per_s
        self._left -= 1
        return self._left >= 0


LOOKS: Final[web.AppKey[Allowance]] = web.AppKey("looks", Allowance)


def new_looks() -> Allowance:
    return Allowance(_LOOKS_PER_S)


def refuse_early(request: web.Request, principal: Principal, *, takes_auxiliary: bool) -> bool:
    """Raise `TooManyRuns` or `ShuttingDown` where it is certain that a run could not start now.

    Returns whether only an auxiliary question can be answered.
    """
    keys = request.headers.getall("Idempotency-Key", ())
    refusal = state_of(request).registry.refusal(principal.owner, keys[0] if keys else None)
    if refusal is not None and not (takes_auxiliary and _may_be_auxiliary(request)):
        raise refusal
    return refusal is not None


def _may_be_auxiliary(request: web.Request) -> bool:
    """Whether the body is to be read for that."""
    task = request.headers.get(state_of(request).config.open_webui.task_header)
    if task is not None and not task.strip():
        return False  # Open WebUI says that it is a turn of a conversation
    length = request.content_length
    return length is not None and length <= _LOOK_BYTES and request.app[LOOKS].take()
