"""ApprovalAgent asks the user before a query runs, and code decides whether the user agreed.

The agent shows a query and ends the run with a `HandoffMessage` to the user. The query runs only if the very next
message is the user's and says yes and nothing else. Agents speak under their own names, so nothing that a model writes
or a tool returns can be that message.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage, TextMessage
from autogen_core import CancellationToken

from aiostream_server.present.blocks import fenced
from aiostream_server.teams.data.agent_bases import CodeAgent
from aiostream_server.teams.data.messages import APPROVER, Verdict
from aiostream_server.teams.resume import USER, YES_OR_NO

ApprovalReply: TypeAlias = Literal["yes", "no", "other"]

_NOT_RUN: Final = "The query was not run. Ask again, or say what to look up instead."
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
# Open WebUI's channels put the sender's name before the text.
_SENDER: Final = re.compile(r"\s*(?P<name>[^\s:.,;?!]+(?: [^\s:.,;?!]+){0,3}):\s+(?=\S)")
_NO_NAMES: Final = _YES | _NO | {"not", "never", "but", "if", "wait", "nicht", "aber", "change", "question", "sql"}
_IGNORED: Final = re.compile(r"[^\w?]+|_")
_LONGEST: Final = 40


class QueryApprover(CodeAgent):
    """Asks the user after an approved verdict, and confirms after the user's no that nothing was run."""

    def __init__(self, name: str) -> None:
        super().__init__(name, description="Asks the user before a query is run.")

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (HandoffMessage, TextMessage)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        match messages[-1]:
            case Verdict(approved=True) as verdict:
                return Response(
                    chat_message=HandoffMessage(
                        content=_question(verdict), source=self.name, target=USER, metadata=dict(YES_OR_NO)
                    )
                )
            case TextMessage(source=speaker) if speaker == USER:
                return Response(chat_message=TextMessage(content=_NOT_RUN, source=self.name))
            case other:
                raise TypeError(f"{self.name} asks about approved queries, not about {type(other).__name__}")


def _question(verdict: Verdict) -> str:
    query = fenced(verdict.shown or verdict.sql, "sql")
    return (
        f"This query is ready to run on the database `{verdict.database}`:\n\n{query}\n\n"
        "Reply **yes** to run it, **no** to stop, or say what to change."
    )


def read_reply(text: str) -> ApprovalReply:
    """Compares the whole message, without case, punctuation and a sender's name before it. With a question mark it is
    neither a yes nor a no."""
    sender = _SENDER.match(text)
    if sender and _NO_NAMES.isdisjoint(map(_plain, sender["name"].split())):
        text = text[sender.end() :]
    if len(text) > _LONGEST:
        return "other"
    words = _plain(text)
    return "yes" if words in _YES else "no" if words in _NO else "other"


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    return _IGNORED.sub(" ", folded).strip()


def find_reply(thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> tuple[Verdict, ApprovalReply] | None:
    """The query of the last question and the user's reply; None if the last message replies to no question."""
    match list(thread[-3:]):
        case [
            Verdict(approved=True) as verdict,
            HandoffMessage(source=asker, target=asked),
            BaseChatMessage(source=speaker) as answer,
        ] if (asker, asked, speaker) == (APPROVER, USER, USER):
            return verdict, read_reply(answer.content) if isinstance(answer, TextMessage) else "other"
        case _:
            return None
