"""Lines that begin with a sign."""

from aiostream_server.events import Error, InputRequested, Routing
from aiostream_server.events.signs import ERROR_SIGN, INPUT_SIGN


def routing_line(event: Routing) -> str:
    """`→ Data analysis (rules, 92 %): asks for totals by region`, or what it says while it is undecided."""
    if event.team is None:
        return event.content
    sure = "" if event.confidence is None else f", {event.confidence:.0%}".replace("%", " %")
    reason = f": {event.content}" if event.content else ""
    return f"→ {event.team_name or event.team} ({event.strategy or 'chosen'}{sure}){reason}"


def error_line(event: Error) -> str:
    return f"{ERROR_SIGN} {event.message}"


def input_line(event: InputRequested) -> str:
    return f"{INPUT_SIGN} *{event.agent} waits for your answer*"


def is_one_line(text: str) -> bool:
    return "\n" not in text and "\r" not in text
