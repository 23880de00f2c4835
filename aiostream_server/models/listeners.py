"""Listeners hear an answer while it streams: a run's sink, or the consumer of `create_stream`.

`AnswerFeed` passes each batch of deltas to the answer and to its listener, and applies the listener's backpressure.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol, Self

from aiostream_server.models.answer import ModelAnswer
from aiostream_server.models.live_arguments import LiveArguments
from aiostream_server.models.provider import Delta, TextDelta
from aiostream_server.models.spacing import Spacing
from aiostream_server.models.think import Spoken
from aiostream_server.models.token_sink import TokenSink

_QUEUE_SIZE: Final = 16


class Listener(Protocol):
    """Hears text and reasoning at once, without waiting; `is_full` asks the feed to wait."""

    def hear(self, spoken: Sequence[Spoken]) -> bool:
        """`spoken` is empty for a piece without text, such as a tool call's. False: check `is_full`."""
        ...

    def hear_calls(self, batch: Sequence[Delta]) -> None:
        """A batch that holds more than text, behind its text."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether to await `room` before the next call of `hear`."""
        ...

    async def room(self) -> None: ...


class SinkListener:
    """A run's sink. For a speaker that is not shown it only reports that the model is alive."""

    __slots__ = ("_arguments", "_is_shown", "_sink", "_spacing", "_speaker")

    def __init__(self, sink: TokenSink, speaker: str | None, arguments: LiveArguments, *, is_shown: bool) -> None:
        self._sink = sink
        self._arguments = arguments
        self._speaker = speaker
        self._is_shown = is_shown
        self._spacing = Spacing()

    def hear(self, spoken: Sequence[Spoken]) -> bool:
        if spoken and self._is_shown:
            if not (self._spacing.in_text and len(spoken) == 1 and type(spoken[0]) is TextDelta):
                spoken = self._spacing.shown(spoken)
            if spoken:
                return self._sink.say(self._speaker, spoken)
        self._sink.alive()
        return True

    def hear_calls(self, batch: Sequence[Delta]) -> None:
        if self._is_shown:
            for piece in self._arguments.pieces(batch):
                self._sink.write_call(self._speaker, piece)

    @property
    def is_full(self) -> bool:
        return self._is_shown and self._sink.is_full

    async def room(self) -> None:
        await self._sink.room()


class AnswerFeed:
    """Passes the deltas of one answer to `answer` and `listener`; calls `on_first` with the first word or call."""

    __slots__ = ("_answer", "_has_room", "_listener", "_on_first")

    def __init__(
        self, answer: ModelAnswer, listener: Listener | None, on_first: Callable[[], None] | None = None
    ) -> None:
        self._answer = answer
        self._listener = listener
        self._on_first = on_first
        self._has_room = False  # as the listener last said

    async def take(self, batch: Sequence[Delta]) -> None:
        """Take a batch; wait while the listener is full."""
        self._take(batch)
        if self._listener is not None and self._listener.is_full:
            await self._listener.room()

    def take_now(self, batch: Sequence[Delta]) -> bool:
        """The request's `shortcut`: takes nothing while the listener is full."""
        if not self._has_room and self._listener is not None and self._listener.is_full:
            return False
        self._take(batch)
        return True

    def end(self) -> None:
        """The stream is over: pass on the held-back text."""
        if (rest := self._answer.rest()) and self._listener is not None:
            self._listener.hear(rest)

    def _take(self, batch: Sequence[Delta]) -> None:
        spoken = self._answer.take(batch)
        if self._on_first is not None and self._answer.delta_count:
            self._on_first()
            self._on_first = None
        if self._listener is not None:
            self._has_room = self._listener.hear(spoken)
            if spoken is not batch:
                self._listener.hear_calls(batch)
                self._has_room = False


class QueueListener:
    """Iterated over by one consumer, until it is closed and empty."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Sequence[Spoken] | None] = asyncio.Queue()
        self._has_room = asyncio.Event()

    def hear(self, spoken: Sequence[Spoken]) -> bool:
        if spoken:
            self._items.put_nowait(spoken)
        return not self.is_full

    def hear_calls(self, batch: Sequence[Delta]) -> None:
        """AutoGen's stream has none."""

    @property
    def is_full(self) -> bool:
        return self._items.qsize() >= _QUEUE_SIZE

    async def room(self) -> None:
        while self.is_full:
            self._has_room.clear()
            await self._has_room.wait()

    def close(self) -> None:
        """Ends the iteration behind what was heard."""
        self._items.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Spoken]:
        spoken = await self._items.get()
        if spoken is None:
            raise StopAsyncIteration
        self._has_room.set()
        return spoken
