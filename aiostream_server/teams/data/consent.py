"""Whether a person agreed to a query: decided by code, from the messages that stand right behind one another.

The team shows a query and ends with a `HandoffMessage` to the person. Only a message of that person's, directly behind
it and saying yes and nothing else, lets the query run. Agents speak under their own names, so nothing that a model
writes or a tool returns can be that message.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage, TextMessage

from aiostream_server.teams.data.messages import Verdict
from aiostream_server.teams.data.names import APPROVER
from aiostream_server.teams.resume import USER

Reply: TypeAlias = Literal["yes", "no", "other"]

_YES: Final = frozenset(
    {
        *("yes", "y", "yes please", "yes run it", "yes go ahead", "yes do it", "ok", "okay", "ok run it", "run it"),
        *("please run it", "go ahead", "do it", "approve", "approved"),
        *("ja", "ja bitte", "oui", "sí", "si", "sì", "sim", "да", "はい", "是", "是的"),
    }
)
_NO: Final = frozenset(
    {
        *("no", "n", "no thanks", "no thank you", "stop", "cancel", "abort", "dont", "do not", "dont run it"),
        *("do not run it", "never mind", "nevermind"),
        *("nein", "nein danke", "abbrechen", "non", "não", "нет", "いいえ", "不", "否"),
    }
)
_IGNORED: Final = re.compile(r"[^\w?]+|_")
_LONGEST: Final = 40


def read_reply(text: str) -> Reply:
    """The whole message, its case and punctuation aside. With a question mark it is neither a yes nor a no."""
    if len(text) > _LONGEST:
        return "other"
    plain = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    words = _IGNORED.sub(" ", plain).strip()
    return "yes" if words in _YES else "no" if words in _NO else "other"


def find_reply(thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> tuple[Verdict, Reply] | None:
    """The query that was asked about last, and what the last message says to it; None where it answers no question."""
    match list(thread[-3:]):
        case [
            Verdict(approved=True) as verdict,
            HandoffMessage(source=asker, target=asked),
            BaseChatMessage(source=speaker) as answer,
        ] if (asker, asked, speaker) == (APPROVER, USER, USER):
            return verdict, read_reply(answer.content) if isinstance(answer, TextMessage) else "other"
        case _:
            return None
