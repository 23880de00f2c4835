"""Run by `test_closed_union` on a copy of the package that has a whole message `plan`: what shows it?"""

import json
from collections.abc import Sequence

import aiostream_server
from aiostream_server.cli.terminal import _SIGN_STYLES
from aiostream_server.events import EVENTS, SPEECHES, Entry, Event, Message, Said, SpeechKind, Token
from aiostream_server.events.codec import WholeMessages, decode_event, encode_entry
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.present import Page, new_presenter
from aiostream_server.present.parts import Closed, Opened, Parts
from aiostream_server.present.status import StatusLine
from aiostream_server.protocols.runs.openapi import event_schemas

KIND: SpeechKind = "plan"  # type: ignore[assignment]
Plan = SPEECHES[KIND]
TOKENS = [Token("Ann", "First ", KIND), Token("Ann", "look.", KIND)]
STREAMED: Said = Plan(agent="Ann", content="First look.", streamed=True)
WHOLE: Said = Plan(agent="Ann", content="First look.")


def shown(events: Sequence[Event], presentation: str, page: Page | None = None) -> list[tuple[str, str]]:
    presenter = new_presenter(presentation, page)  # type: ignore[arg-type]
    pieces = [each for event in events for each in presenter.show(event)]
    return [
        (channel, "".join(each.text for each in pieces if each.channel == channel))
        for channel in ("content", "reasoning")
    ]


for told in ([*TOKENS, STREAMED], [WHOLE]):
    for page in (None, Page()):
        assert shown(told, "transcript", page) == [("content", "🗺 **Ann**\n\nFirst look."), ("reasoning", "")]
        assert shown(told, "reasoning", page) == [("content", ""), ("reasoning", "🗺 **Ann**\n\nFirst look.")]
        assert shown(told, "answer", page) == [("content", ""), ("reasoning", "")]
    line = StatusLine()
    assert [status.description for event in told for status in line.show(event, 0.0)] == ["Ann · planning…"]

parts = Parts()
assert list(parts.of(TOKENS[0])) == [Opened("Ann", KIND), TOKENS[0]]
assert list(parts.of(Message("Bob", "I wait."))) == []
closed, *waited = parts.of(STREAMED)
assert closed == Closed("Ann", KIND, STREAMED)
assert isinstance(waited[0], Opened)
assert waited[0].agent == "Bob"

for event in (*TOKENS, STREAMED, WHOLE):
    assert decode_event(json.loads(encode_entry("run-1", Entry(1, 0.0, event)))) == event
assert event_schemas()["PlanEvent"]["properties"]["type"] == {"const": "plan"}
assert "plan" in json.dumps(event_schemas()["TokenEvent"])
whole = WholeMessages()
for token in TOKENS:
    whole.complete(token, truncated=False)
assert whole.complete(Plan(agent="Ann", content="Fi", streamed=True), truncated=True) == STREAMED
assert undecorate("🗺 **Ann**\n\nFirst look.") == "First look."
assert _SIGN_STYLES["🗺"] == "bold green"
assert EVENTS["plan"] is Plan
print(aiostream_server.__file__)
