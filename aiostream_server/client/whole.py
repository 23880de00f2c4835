"""Whole messages that were too long for one line, made whole again.

Of such a message the server sends the beginning; all of it stood in the tokens before it.
"""

from collections import defaultdict
from dataclasses import replace

from aiostream_server.events import Analysis, Answer, Event, Message, Thinking, Token, Validation


class Wholes:
    """Show it every event of a run, in order."""

    def __init__(self) -> None:
        self._tokens: defaultdict[str, list[str]] = defaultdict(list)
        self._last: dict[str, str] = {}

    def complete(self, event: Event, *, truncated: bool) -> Event:
        """The event, with all of its text as far as that was heard: who came late heard no more than its beginning."""
        match event:
            case Token():
                self._tokens[event.agent].append(event.content)
            case Thinking() | Validation() | Analysis() | Message() | Answer():
                told = "".join(self._tokens.pop(event.agent, ()))
                if truncated:
                    heard = (told, self._last.get(event.agent, ""))  # an answer may repeat a message
                    whole = next((text for text in heard if text.startswith(event.content)), event.content)
                    self._last[event.agent] = whole
                    return replace(event, content=whole)
            case _:
                pass
        return event
