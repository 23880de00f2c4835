"""OpenAI's chat completions: https://platform.openai.com/docs/api-reference/chat

A team's run is shown as a presentation of its events: as `content`, and as `reasoning_content` beside it.
"""

from dataclasses import dataclass
from typing import Final

from aiostream_server.intake.body import parse_body
from aiostream_server.protocols.chat.chunks import ChunkEncoder
from aiostream_server.protocols.chat.errors import refusal
from aiostream_server.protocols.chat.open_webui import PageFrames
from aiostream_server.protocols.chat.request import ChatRequest, read_question
from aiostream_server.protocols.chat.stream import ChatFrames
from aiostream_server.protocols.chat.tool_calls import Calls, WithoutContent, calls_of
from aiostream_server.protocols.chat.whole import CompletionCollector, completion_id
from aiostream_server.protocols.dialect import Asked, Dialect, DisplayOptions
from aiostream_server.runs.card import RunCard


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """`stream_options` of a request, and whether a call of one of its tools is the answer."""

    include_usage: bool = False
    calls: Calls = None


def _question(raw: bytes, model: str | None) -> Asked[ChatOptions]:
    body = parse_body(raw, ChatRequest, given={} if model is None else {"model": model})
    question = read_question(body)
    options = ChatOptions(body.stream_options.include_usage, calls_of(question.form))
    return Asked(body.model, question, "stream" if body.stream else "whole", options)


def _stream(card: RunCard, options: ChatOptions, view: DisplayOptions) -> ChatFrames:
    encoder = ChunkEncoder(completion_id(card.id), int(card.created_at), card.model, view.reasoning_fields)
    page = None if view.page is None else PageFrames(view.team_name, view.team, view.members)
    presenter = view.presenter() if options.calls is None else WithoutContent(view.presenter())
    return ChatFrames(presenter, encoder, include_usage=options.include_usage, calls=options.calls, page=page)


def _whole(card: RunCard, options: ChatOptions, view: DisplayOptions) -> CompletionCollector:
    presenter = view.presenter() if options.calls is None else WithoutContent(view.presenter())
    return CompletionCollector(card, presenter, calls=options.calls, reasoning_fields=view.reasoning_fields)


CHAT: Final = Dialect("chat", _question, _stream, _whole, refusal, on_disconnect="cancel", serves_chat_pages=True)
