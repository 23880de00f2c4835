"""What a run tells that no protocol of pages has a form for: a name and data of our own, the same in each of them."""

from typing import Any, NamedTuple, assert_never

from aiostream_server.events import Dropped, Notice, Restarted, Routing, Validation, Waiting


class Remark(NamedTuple):
    """`data` is JSON."""

    name: str
    data: dict[str, Any]


def remark_of(event: Routing | Waiting | Notice | Dropped | Restarted) -> Remark:
    match event:
        case Routing():
            team = {"team": event.team, "team_name": event.team_name, "confidence": event.confidence}
            said = {"agent": event.agent, "content": event.content, "strategy": event.strategy}
            return Remark("routing", {**team, **said})
        case Waiting():
            when = {"position": event.position, "retry_in_s": event.retry_in_s}
            return Remark("waiting", {"reason": event.reason, "content": event.content, **when})
        case Notice():
            return Remark("notice", {"agent": event.agent, "content": event.content, "reason": event.reason})
        case Dropped():
            return Remark("dropped", {"first": event.first})
        case Restarted():
            return Remark("restarted", {"attempt": event.attempt, "content": event.content})
        case _:
            assert_never(event)


def verdict_of(said: object) -> Remark | None:
    """None for a message that is no verdict, and where the verdict stands in its words only."""
    if not isinstance(said, Validation) or said.approved is None:
        return None
    return Remark("validation", {"agent": said.agent, "approved": said.approved, "content": said.content})
