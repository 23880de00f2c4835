"""What a run adds to the agents' words: how a model's answer or a team ended, where nothing else shows it."""

from typing import Final

from aiostream_server.events import Notice
from aiostream_server.models.ending import in_words
from aiostream_server.models.provider import End
from aiostream_server.text import printable_line

NO_REPLY: Final = (
    "A reply will not reach me: this question belongs to no conversation. Programs name one with X-"
    "Conversation-Id, `aiostream-server ask` with --conversation NAME; Open WebUI names its chats where "
    "ENABLE_FORWARD_USER_INFO_HEADERS is on."
)
_MAX_CHARS: Final = 300


def of_model(agent: str, end: End) -> Notice | None:
    """None for an ordinary end."""
    if (words := in_words(end.finish_reason, end.native)) is None:
        return None
    reason = end.finish_reason
    return Notice(
        agent, _in_a_remark(f"{agent} {words}"), reason if reason in ("length", "content_filter") else "other"
    )


def of_team(agent: str, why: str) -> Notice:
    return Notice(agent, _in_a_remark(f"The team ended: {why}"), "team_ended")


def _in_a_remark(text: str) -> str:
    """On one line, which presentations set between asterisks."""
    return printable_line(text.replace("*", ""), _MAX_CHARS)
