"""The body of `POST /v1/runs`: a chat request that also says how its run is treated."""

from typing import Annotated, Final

from pydantic import Field

from aiostream_server.config.model import OnDisconnect
from aiostream_server.protocols.chat.request import ChatRequest

_NO_CONTROL_CHARACTERS: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"

_Conversation = Annotated[str, Field(min_length=1, max_length=255, pattern=_NO_CONTROL_CHARACTERS)]


class RunBody(ChatRequest):
    """`stream` has no meaning here."""

    background: bool = False
    on_disconnect: OnDisconnect | None = None
    conversation: _Conversation | None = None
