"""MCP: each team is a tool, for assistants and agents of others. https://modelcontextprotocol.io/specification

`docs/mcp.md` is its manual. Every request stands for itself: the server keeps no sessions.
"""

from collections.abc import Callable
from typing import Final

from aiostream_server.errors import ServerError
from aiostream_server.protocols.dialect import Asked, Dialect, DisplayOptions
from aiostream_server.protocols.mcp.call import CallFrames, CallOptions, CallResult
from aiostream_server.runs.card import RunCard

NAME: Final = "mcp"


def dialect_for(asked: Asked[CallOptions], refusal: Callable[[ServerError], tuple[int, bytes]]) -> Dialect[CallOptions]:
    """The dialect of one call that was read."""
    return Dialect(NAME, lambda _, __: asked, _stream, _whole, refusal, on_disconnect="cancel", serves_chat_pages=False)


def _stream(card: RunCard, options: CallOptions, _: DisplayOptions) -> CallFrames:
    return CallFrames(card, options)


def _whole(card: RunCard, options: CallOptions, _: DisplayOptions) -> CallResult:
    return CallResult(card, options)
