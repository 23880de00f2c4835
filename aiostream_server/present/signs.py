"""The sign of each kind of event, the same wherever a person reads a run."""

from typing import Final

from aiostream_server.events import Error, Routing, SpeechKind

SPEECH_SIGNS: Final[dict[SpeechKind, str]] = {
    "thinking": "🤔",
    "validation": "🛡",
    "analysis": "📊",
    "message": "💬",
    "final": "✅",
}
ROUTING_SIGN: Final = "🎯"
ERROR_SIGN: Final = "❌"


def routing_line(event: Routing) -> str:
    """`→ Data analysis (rules, 92 %): asks for totals by region`, or what it says while it is undecided."""
    if event.team is None:
        return event.content
    sure = "" if event.confidence is None else f", {event.confidence:.0%}".replace("%", " %")
    reason = f": {event.content}" if event.content else ""
    return f"→ {event.team_name or event.team} ({event.strategy or 'chosen'}{sure}){reason}"


def error_line(event: Error) -> str:
    return f"{ERROR_SIGN} {event.message}"
