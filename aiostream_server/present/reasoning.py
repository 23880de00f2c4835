"""`reasoning`: the team's work as reasoning, the answering agents' text as the answer."""

from collections.abc import Iterator
from dataclasses import replace

from aiostream_server.events import Error, Event, Final, Token
from aiostream_server.events.model import Message
from aiostream_server.present.answer import Answer
from aiostream_server.present.shown import Channel, Shown
from aiostream_server.present.transcript import Transcript


class Reasoning:
    """A transcript of the work, and the answer apart from it."""

    def __init__(self) -> None:
        self._work = Transcript()
        self._answer = Answer()
        self._answering: set[str] = set()

    def show(self, event: Event) -> Iterator[Shown]:
        yield from self._answer.show(event)
        if self._is_answer(event):
            return
        channel: Channel = "content" if isinstance(event, Error) else "reasoning"
        for shown in self._work.show(event):
            yield replace(shown, channel=channel)

    def _is_answer(self, event: Event) -> bool:
        match event:
            case Token(kind="final"):
                self._answering.add(event.agent)
                return True
            case Message(streamed=True) if event.agent in self._answering:
                return True
            case Final():
                return True
            case _:
                return False
