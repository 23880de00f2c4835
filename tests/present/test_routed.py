"""A routed run has the presentation of its team."""

from aiostream_server.config.model import Presentation
from aiostream_server.events import Answer, Event, Message, Routing, Token
from aiostream_server.present import routed_presenter

UNDECIDED = Routing("Supervisor", "Analysing…")
TO_WRITERS = Routing("Supervisor", "asks for a text", "writers", "Writers", 0.9, "rules")
SAID = (Message("Writer", "a draft"), Token("Editor", "done", "final"), Message("Editor", "done", streamed=True))
END = Answer("Editor", "done", streamed=True)


def shown(by_team: dict[str, Presentation], *events: Event) -> str:
    presenter = routed_presenter(by_team)
    return "".join(part.text for event in events for part in presenter.show(event))


def test_the_chosen_teams_presentation_holds() -> None:
    by_team: dict[str, Presentation] = {"writers": "answer", "data": "transcript"}
    assert shown(by_team, TO_WRITERS, *SAID, END) == "done"


def test_before_the_choice_the_default_holds() -> None:
    by_team: dict[str, Presentation] = {"writers": "answer", "data": "transcript"}
    assert shown(by_team, UNDECIDED, TO_WRITERS, *SAID, END) == "🎯 **Supervisor** Analysing…\n\ndone"


def test_teams_that_agree_are_shown_so_from_the_start() -> None:
    assert shown({"writers": "answer", "data": "answer"}, UNDECIDED, TO_WRITERS, *SAID, END) == "done"


def test_a_transcript_continues_as_a_transcript() -> None:
    text = shown({"writers": "transcript", "data": "answer"}, UNDECIDED, TO_WRITERS, *SAID, END)
    assert text.startswith("🎯 **Supervisor** Analysing…\n\n🎯 **Supervisor** → Writers")
    assert text.endswith("✅ **Editor**\n\ndone")
