"""The AI SDK's UI message stream, which `useChat` reads: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol

`docs/ai-sdk.md` is its manual.
"""

from typing import Final

from aiostream_server.protocols.ai_sdk.request import UIMessageOptions, kept_options, read_request
from aiostream_server.protocols.ai_sdk.stream import UIMessageFrames
from aiostream_server.protocols.chat.errors import refusal
from aiostream_server.protocols.dialect import Dialect, DisplayOptions
from aiostream_server.protocols.runs.whole import RunCollector
from aiostream_server.runs.card import RunCard

NAME: Final = "ai_sdk"


def _stream(card: RunCard, options: UIMessageOptions, view: DisplayOptions) -> UIMessageFrames:
    return UIMessageFrames(card, options, view.is_own_link)


def _whole(card: RunCard, _: UIMessageOptions, view: DisplayOptions) -> RunCollector:
    return RunCollector(card, view.path_prefix, view.watch_link)


def options_of(card: RunCard) -> UIMessageOptions:
    """The options for showing a run that another stream has begun to show."""
    return kept_options(card.kept) if card.protocol == NAME else UIMessageOptions()


AI_SDK: Final = Dialect(
    NAME,
    read_request,
    _stream,
    _whole,
    refusal,
    on_disconnect="continue",
    serves_chat_pages=False,
    headers={"x-vercel-ai-ui-message-stream": "v1"},
)
