"""Which conversation a question is part of, by the client's own name for it."""

from dataclasses import dataclass
from typing import Final

from multidict import MultiMapping

from aiostream_server.config.model import OpenWebUIConfig
from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.headers import has_placeholder, identifier

_CONVERSATION: Final = "X-Conversation-Id"
_CHAT: Final = "X-OpenWebUI-Chat-Id"
_NOT_KEPT: Final = ("temporary:", "local:", "channel:")
"""How Open WebUI's ids of chats begin that it does not keep: a temporary chat (`local:` in 0.6.36), which is named
after the page's connection, and a question out of a channel, which many people share and which brings no history."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """`resends`: every request brings the whole conversation with it, as chat pages do, so that a request without
    earlier messages begins anew. Else such a request goes on where the conversation stands."""

    name: str
    resends: bool


def read_conversation(
    headers: MultiMapping[str], config: OpenWebUIConfig, *, from_open_webui: bool = False
) -> Conversation | None:
    """The first that is named by: `X-Conversation-Id`, the `chat_header` of the configuration, `X-OpenWebUI-Chat-Id`.

    None where nothing is named, where a template was not filled in, and for a chat that Open WebUI itself does not
    keep. `from_open_webui`: the client is Open WebUI, which resends by whichever header it names the chat. The chat's
    own background questions (its title, its tags) carry the same name: tell them apart before this matters.

    Raises `InvalidRequest` for a header that is sent twice, is longer than 255 characters or is not printable ASCII.
    """
    of_chats = (_CHAT,) if config.chat_header is None else (config.chat_header, _CHAT)
    for header in (_CONVERSATION, *of_chats):
        name = identifier(headers, header)
        if name is None or has_placeholder(name):
            continue
        if not name.isascii():
            raise InvalidRequest(f"the header {header} holds characters beyond ASCII: percent-encode them")
        resends = from_open_webui or header != _CONVERSATION
        return None if resends and name.startswith(_NOT_KEPT) else Conversation(name, resends)
    return None
