"""The texts of a run's answer: a client sends one of them back when it continues the conversation."""

from collections.abc import Iterable, Iterator

from aiostream_server.events import Action, Event, Token, ToolResult
from aiostream_server.present.parts import Closed, Opened, Part, Parts
from aiostream_server.present.quoting import QuotedView, quoted
from aiostream_server.present.transcript import Transcript


def answer_texts(events: Iterable[Event]) -> tuple[str, str]:
    """The `content` of a run that gave its answer: as a transcript, and in the other presentations.

    Tool calls and their results are left out. Every message is rendered once, however many tokens it had.
    """
    transcript = QuotedView(Transcript())
    shown, answers = [], []
    for part in _messages_at_once(events):
        shown += [each.text for each in transcript.show(part)]
        if isinstance(part, Token) and part.kind == "final":
            answers.append(quoted(part.content))
    return "".join(shown), "\n\n".join(answers)


def _messages_at_once(events: Iterable[Event]) -> Iterator[Part]:
    """The parts of a run, with one `Token` for all of a message."""
    parts = Parts()
    opened: Opened | None = None
    for event in events:
        if isinstance(event, Token) and parts.is_open(event):
            continue  # the whole message repeats it
        for part in parts.of(event):
            if isinstance(part, Opened):
                opened = part
            elif isinstance(part, Closed):
                if opened is not None and part.said is not None:
                    yield from (opened, Token(part.agent, part.said.content, part.kind), part)
            elif not isinstance(part, Token | Action | ToolResult):
                yield part
