"""A client that continues a conversation sends an answer back as it was shown: `answer_texts` has that text."""

from collections.abc import Iterable
from typing import get_args

from hypothesis import given

from aiostream_server.config.model import Presentation
from aiostream_server.events import Error, Event, Message, Token
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.present import new_presenter
from aiostream_server.present.answer_texts import answer_texts
from tests.present.telling import Told, runs


def shown_by(presentation: Presentation, events: Iterable[Event]) -> str:
    presenter = new_presenter(presentation)
    shown = (each for event in events for each in presenter.show(event))
    return "".join(each.text for each in shown if each.channel == "content")


@given(runs())
def test_its_words_are_those_of_every_presentation(told: Told) -> None:
    if any(isinstance(event, Error) for event in told.events):
        return  # a run that failed has no answer
    transcript, answer = answer_texts(told.events)
    for presentation in get_args(Presentation):
        text = transcript if presentation == "transcript" else answer
        assert undecorate(text).split() == undecorate(shown_by(presentation, told.events)).split()


def test_agents_that_speak_at_once_are_in_the_order_in_which_they_are_shown() -> None:
    events = [Token("A", "a", "message"), Token("B", "b", "message")]
    whole = [Message("B", "b", streamed=True), Message("A", "a", streamed=True)]
    transcript, _ = answer_texts([*events, *whole])
    assert transcript == shown_by("transcript", [*events, *whole]) == "💬 **A**\n\na\n\n💬 **B**\n\nb"
