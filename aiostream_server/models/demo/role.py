"""The demo model in somebody's own team: an honest sentence in the role that the system text gives."""

import re
from typing import Final

from aiostream_server.models.demo.conversation import Conversation
from aiostream_server.models.demo.speech import Reply, gist, say

_ROLE: Final = re.compile(r"\byou(?:'re| are) (?:(?:the|an?) )?([^.,;:\n]{2,60})", re.IGNORECASE)
_LAST_WORD: Final = re.compile(
    r"\b(?:say|saying|reply|respond|answer|write|output|end|finish)\b[^.\n]{0,80}?\b(TERMINATE|APPROVED?|DONE|STOP)\b"
)


def answer(conversation: Conversation) -> Reply:
    """Who is speaking, and the gist of what was said last."""
    heard = gist(conversation.last)
    role = _ROLE.search(conversation.system)
    speaker = f"Standing in for {_article(role[1].strip())}, I" if role else "I"
    if heard:
        reply = say(f"{speaker} can only repeat the gist of what I was told: “{heard}”")
    else:
        reply = say(f"{speaker} was told nothing yet.")
    return _with_last_word(reply, conversation.system)


def _article(role: str) -> str:
    return role if role[0].isupper() else f"the {role}"


def _with_last_word(reply: Reply, system: str) -> Reply:
    """A team that waits for TERMINATE (or the like) must end, or it would run on for ever."""
    word = _LAST_WORD.search(system)
    return Reply(f"{reply.text}\n\n{word[1]}") if word else reply
