"""A2A 1.0, the protocol in which agents of different makers ask each other: https://a2a-protocol.org/v1.0.0/specification

A model is an agent, a run is a task, and the conversation is A2A's context. `docs/a2a.md` is its manual.
"""

from collections.abc import Callable
from typing import Final

from aiostream_server.errors import ServerError
from aiostream_server.protocols.a2a.stream import TaskFrames, TaskOptions
from aiostream_server.protocols.a2a.whole import TaskCollector
from aiostream_server.protocols.dialect import Asked, Dialect, DisplayOptions
from aiostream_server.runs.card import RunCard

NAME: Final = "a2a"


def dialect_for(asked: Asked[TaskOptions], refusal: Callable[[ServerError], tuple[int, bytes]]) -> Dialect[TaskOptions]:
    """The dialect of one message that was read: only the server knows which task it continues."""
    return Dialect(
        NAME,
        lambda _, __: asked,
        _stream,
        _whole,
        refusal,
        on_disconnect="continue",
        serves_chat_pages=False,
        started_status=200,
    )


def _stream(card: RunCard, options: TaskOptions, _: DisplayOptions) -> TaskFrames:
    return TaskFrames(card, options)


def _whole(card: RunCard, options: TaskOptions, _: DisplayOptions) -> TaskCollector:
    return TaskCollector(card, options)
