"""A yes or a no that a team waits for, as a call of a tool that the page asks its user to approve.

https://ai-sdk.dev/docs/ai-sdk-ui/chatbot-tool-usage#tool-execution-approval. The page sends the answer in its
assistant's message, and the team gets it as the user's next words. The stream that follows ends the call.
"""

from dataclasses import dataclass
from typing import Final

from aiostream_server.intake.json_text import encode
from aiostream_server.protocols.ai_sdk.messages import UIToolPart

APPROVAL_TOOL: Final = "approval"
_YES, _NO = "yes", "no"
_MAX_INPUT_CHARS: Final = 20_000


@dataclass(frozen=True, slots=True)
class AnsweredApproval:
    """The call that a question continues. `input` is JSON, as the page sent it; `reply` are the user's words."""

    call_id: str
    input: str
    approved: bool
    reply: str


def reply_of(part: UIToolPart) -> str | None:
    """The user's words; None for any other call, and for one that the user has not answered."""
    if part.name != APPROVAL_TOOL:
        return None
    match part.output:
        case {"reply": str() as reply}:
            return reply
    if part.approval is None or part.approval.approved is None:
        return None
    return _YES if part.approval.approved else part.approval.reason or _NO


def answered_now(part: UIToolPart) -> AnsweredApproval | None:
    """None where an earlier stream has ended the call."""
    reply = reply_of(part)
    if reply is None or part.output is not None or part.approval is None:
        return None
    asked = encode(part.input)
    is_short = len(asked) <= _MAX_INPUT_CHARS
    return AnsweredApproval(part.tool_call_id, asked if is_short else "{}", bool(part.approval.approved), reply)
