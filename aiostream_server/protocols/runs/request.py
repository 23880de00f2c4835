"""The body of `POST /v1/runs`: a chat request that also says how its run is treated."""

from typing import Final

from aiostream_server.config.model import OnDisconnect
from aiostream_server.intake.conversation import ConversationName
from aiostream_server.protocols.chat.request import ChatRequest

MAX_CURSOR: Final = 2**53
"""Beyond it a client in JavaScript cannot count events."""
MAX_LISTED: Final = 100
DEFAULT_LISTED: Final = 20


class RunBody(ChatRequest):
    """`stream` has no meaning here."""

    background: bool = False
    on_disconnect: OnDisconnect | None = None
    conversation: ConversationName | None = None
