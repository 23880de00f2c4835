"""OpenAI's Responses: https://platform.openai.com/docs/api-reference/responses

A team's run is shown as items: its work as reasoning, its answer as messages. `docs/responses.md` is the manual.
"""

from dataclasses import dataclass
from typing import Any, Final

from aiostream_server.intake.body import decode_json, parse_body
from aiostream_server.intake.conversation import Conversation, chain
from aiostream_server.protocols.chat.errors import refusal
from aiostream_server.protocols.chat.tool_calls import calls_of
from aiostream_server.protocols.dialect import Asked, Delivery, Dialect, DisplayOptions
from aiostream_server.protocols.responses.echo import echo_of
from aiostream_server.protocols.responses.ids import response_id, run_id_of
from aiostream_server.protocols.responses.kept import write_kept
from aiostream_server.protocols.responses.request import ResponsesRequest, read_question
from aiostream_server.protocols.responses.stream import ResponseFrames
from aiostream_server.protocols.responses.whole import ResponseCollector
from aiostream_server.runs.card import RunCard


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """`after` is the number of the last event that the client has; `raises`: a failed run is an error of its own
    status, not a response that tells of it."""

    after: int = -1
    raises: bool = True


def _question(raw: bytes, model: str | None) -> Asked[ResponseOptions]:
    body = parse_body(raw, ResponsesRequest, given={} if model is None else {"model": model})
    question, referred = read_question(body)
    kept = write_kept(
        echo_of(body),
        _items(decode_json(raw)),
        is_stored=body.store,
        is_background=body.background,
        calls=calls_of(question.form),
        is_json=question.form is not None,
        is_continuation=question.is_continuation,
    )
    return Asked(
        body.model,
        question,
        _delivery(body),
        ResponseOptions(),
        on_disconnect="continue" if body.background else None,
        conversation=_conversation(body, referred),
        kept=kept,
        is_stored=body.store,
    )


def _delivery(body: ResponsesRequest) -> Delivery:
    if body.stream:
        return "stream"
    return "background" if body.background else "whole"


def _conversation(body: ResponsesRequest, referred: str | None) -> Conversation | None:
    if body.conversation is not None:
        return Conversation(body.conversation.id, resends=False, is_kept=body.store)
    previous = body.previous_response_id
    continued = referred if previous is None else run_id_of(previous) or previous
    return None if continued is None else chain(continued, is_kept=body.store)


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The input as items, each of which has a type."""
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return [{"type": "message", **item} for item in items]


def _stream(card: RunCard, options: ResponseOptions, view: DisplayOptions) -> ResponseFrames:
    return ResponseFrames(card, view, after=options.after)


def _whole(card: RunCard, options: ResponseOptions, view: DisplayOptions) -> ResponseCollector:
    return ResponseCollector(card, view, raises=options.raises)


def response_path(run_id: str, path_prefix: str = "") -> str:
    """Where a response is served."""
    return f"{path_prefix}/v1/responses/{response_id(run_id)}"


RESPONSES: Final = Dialect(
    "responses",
    _question,
    _stream,
    _whole,
    refusal,
    on_disconnect="cancel",
    serves_chat_pages=True,
    started_status=200,
    path=response_path,
)
