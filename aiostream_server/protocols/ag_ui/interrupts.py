"""A question to the user as an interrupt, and its answer: https://docs.ag-ui.com/concepts/interrupts

The answer reaches the team as the user's next words. Only the first one to a question counts.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from aiostream_server.errors import InvalidRequest
from aiostream_server.events import InputRequested
from aiostream_server.intake.body import Shape
from aiostream_server.protocols.json_schema import Schema

_YES, _NO = "yes", "no"
_SUFFIX: Final = "-input"
_OF_APPROVAL: Final[Schema] = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["approved"],
}
_OF_QUESTION: Final[Schema] = {"type": "object", "properties": {"reply": {"type": "string"}}, "required": ["reply"]}


class AGUIResume(Shape):
    """`payload` is `{"approved": true}`, `{"approved": false, "reason": ...}`, `{"reply": ...}` or text."""

    interrupt_id: Annotated[str, Field(alias="interruptId")]
    status: Literal["resolved", "cancelled"]
    payload: Any = None


def interrupt(run_id: str, asked: InputRequested) -> dict[str, Any]:
    reason, schema = ("confirmation", _OF_APPROVAL) if asked.is_approval else ("input_required", _OF_QUESTION)
    return {"id": f"{run_id}{_SUFFIX}", "reason": reason, "message": asked.content, "responseSchema": schema}


def asking_run(resume: AGUIResume) -> str:
    """The id of the run that asked. Raises `InvalidRequest` for an id that no interrupt of this server has."""
    run_id = resume.interrupt_id.removesuffix(_SUFFIX)
    if run_id in ("", resume.interrupt_id):
        raise InvalidRequest(
            f"resume[0].interruptId: there is no interrupt {resume.interrupt_id[:80]!r}; send the id of an interrupt "
            "that the thread's last run ended with",
            param="resume[0].interruptId",
        )
    return run_id


def reply_of(resume: AGUIResume) -> str:
    """The user's words. Raises `InvalidRequest` where the payload holds none."""
    if resume.status == "cancelled":
        return _NO
    match resume.payload:
        case bool() as approved:
            return _YES if approved else _NO
        case str() as reply if reply.strip():
            return reply
        case {"approved": True}:
            return _YES
        case {"approved": False, **others}:
            reason = others.get("reason")
            return reason if isinstance(reason, str) and reason.strip() else _NO
        case {"reply": str() as reply} if reply.strip():
            return reply
    raise InvalidRequest("resume[0].payload: expected {'approved': ...} or {'reply': ...}", param="resume[0].payload")
