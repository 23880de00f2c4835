"""How a team ended, by its own account: AutoGen's stop reason, read and put into words.

AutoGen's reasons are sentences of its termination conditions ("Text 'DONE' mentioned", "Maximum number of turns 3
reached."), joined by commas where several are met. Users' own conditions say anything.
"""

import re
from typing import Final

import msgspec

from aiostream_server.runs.conversation_memory import Handover
from aiostream_server.text import printable_line

_NOTHING_SAID: Final = "The team ended without saying anything"
_MAX_REASON_CHARS: Final = 200

_MENTIONED: Final = re.compile(r"Text '(?P<word>.+?)' mentioned", re.DOTALL)
_MAX_TURNS: Final = re.compile(r"Maximum number of turns (?P<turns>\d{1,9}) reached")
_TOOL_RAN: Final = re.compile(r"Function '(?P<tool>[^']+)' was executed\.?")
# What the last words, or the tool call below them, show anyway.
_SHOWN: Final = re.compile(
    rf"{_TOOL_RAN.pattern}|'[^']+' answered|Text message received from '[^']+'|Stop message received"
    r"|Digraph execution is complete\.?|\A(?i:done|finished|completed?)\.?\Z"
)


class TeamEnding(msgspec.Struct, frozen=True):
    """`handover` if the team waits for the user. `asked` is the user's question, or reply if the team had asked.

    `members` is the number of participants: a limit that gives each of them one turn is the team's plan.
    """

    handover: Handover | None = None
    stop_reason: str | None = None
    asked: str = ""
    is_reply: bool = False
    members: int = 0

    @property
    def calls_client(self) -> bool:
        """Whether the team waits for results of the client's tools."""
        return self.handover is not None and bool(self.handover.call_ids)

    @property
    def stop_reason_line(self) -> str | None:
        """On one line; None if the team gave no reason."""
        return printable_line(self.stop_reason or "", _MAX_REASON_CHARS) or None

    def unexplained(self, last_words: str) -> str | None:
        """The stop reason, unless the team's last words show it, or it gave each participant one turn."""
        reason = self.stop_reason or ""
        is_shown = _SHOWN.search(reason) or any(said["word"] in last_words for said in _MENTIONED.finditer(reason))
        is_planned = any(int(limit["turns"]) <= self.members for limit in _MAX_TURNS.finditer(reason))
        return None if is_shown or is_planned else self.stop_reason_line

    def without_words(self, *, has_acted: bool) -> str:
        """The answer of a team that ended without a message. `has_acted`: it called tools."""
        reason = self.stop_reason or ""
        mentioned, ran = _MENTIONED.search(reason), _TOOL_RAN.search(reason)
        if mentioned is not None and mentioned["word"] in self.asked:
            word = printable_line(mentioned["word"], _MAX_REASON_CHARS)
            if self.is_reply:
                return f'The team is done: your reply says "{word}".'
            return f'The team did not begin: your question says "{word}", which ends it.'
        if ran is not None and has_acted:
            return f"The team is done: the tool {ran['tool']} has run."
        return f"{_NOTHING_SAID}: {self.stop_reason_line}" if self.stop_reason_line else f"{_NOTHING_SAID}."
