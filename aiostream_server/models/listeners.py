"""Who hears an answer while it is being made."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol, Self

from aiostream_server.models.answer import ModelAnswer
from aiostream_server.models.provider import Delta
from aiostream_server.models.think import Spoken
from aiostream_server.models.token_sink import TokenSink


class Listener(Protocol):
    """Told at once of everything that is said; it does not wait, but may ask to be waited for."""

    def hear(self, spoken: Sequence[Spoken]) -> bool:
        """Nothing where something came that says nothing: a piece of a tool call, the beginning of a tag.

        Whether it can take more at once: else it `is_full`, perhaps.
        """
        ...

    @property
    def is_full(self) -> bool:
        """Whether it is behind: then wait for `room` before it is told more."""
        ...

    async def room(self) -> None: ...


class SinkListener:
    """A run, by its sink. Of a speaker whose words are not shown it learns only that a model is at work."""

    __slots__ = ("_is_shown", "_sink", "_speaker")

    def __init__(self, sink: TokenSink, speaker: str | None, *, is_shown: bool) -> None:
        self._sink = sink
        self._speaker = speaker
        self._is_shown = is_shown

    def hear(self, spoken: Sequence[Spoken]) -> bool:
        if spoken and self._is_shown:
            return self._sink.say(self._speaker, spoken)
        self._sink.alive()
        return True

    @property
    def is_full(self) -> bool:
        return self._is_shown and self._sink.is_full

    async def room(self) -> None:
        await self._sink.room()


class AnswerFeed:
    """Takes the deltas of one answer: into the `answer`, and to the listener, if there is one.

    `on_first` is called when the first word, thought or piece of a call has come.
    """

    __slots__ = ("_answer", "_has_room", "_listener", "_on_first")

    def __init__(
        self, answer: ModelAnswer, listener: Listener | None, on_first: Callable[[], None] | None = None
    ) -> None:
        self._answer = answer
        self._listener = listener
        self._on_first = on_first
        self._has_room = False  # as far as is known

    async def take(self, batch: Sequence[Delta]) -> None:
        """Waits where the listener is behind."""
        self._take(batch)
        if self._listener is not None and self._listener.is_full:
            await self._listener.room()

    def take_now(self, batch: Sequence[Delta]) -> bool:
        """The request's `shortcut`: takes nothing where somebody would have to wait."""
        if not self._has_room and self._listener is not None and self._listener.is_full:
            return False
        self._take(batch)
        return True

    def end(self) -> None:
        """Nothing comes any more: what was held back is said."""
        if (rest := self._answer.rest()) and self._listener is not None:
            self._listener.hear(rest)

    def _take(self, batch: Sequence[Delta]) -> None:
        spoken = self._answer.take(batch)
        if self._on_first is not None and self._answer.delta_count:
            self._on_first()
            self._on_first = None
        if self._listener is not None:
            self._has_room = self._listener.hear(spoken)


_SIZE: Final = 16


class QueueListener:
    """A `Listener` whose consumer iterates over what was said, until it is closed and empty."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Sequence[Spoken] | None] = asyncio.Queue()
        self._has_room = asyncio.Event()

    def hear(self, spoken: Sequence[Spoken]) -> bool:
        if spoken:
            self._items.put_nowait(spoken)
        return not self.is_full

    @property
    def is_full(self) -> bool:
        return self._items.qsize() >= _SIZE

    async def room(self) -> None:
        while self.is_full:
            self._has_room.clear()
            await self._has_room.wait()

    def close(self) -> None:
        """Nothing comes after what was said."""
        self._items.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Spoken]:
        spoken = await self._items.get()
        if spoken is None:
            raise StopAsyncIteration
        self._has_room.set()
        return spoken
