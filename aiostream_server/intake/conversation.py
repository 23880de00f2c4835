"""Which conversation a question is part of, by the client's own name for it; and whether the client is Open WebUI."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from multidict import MultiMapping
from pydantic import Field

from aiostream_server.config.model import OpenWebUIConfig
from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.headers import has_placeholder, identifier
from aiostream_server.intake.principal import LOCAL, Principal

ConversationName: TypeAlias = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""As bodies may have it."""

_CONVERSATION: Final = "X-Conversation-Id"
_CHAT: Final = "X-OpenWebUI-Chat-Id"
_OPEN_WEBUI: Final = "x-openwebui-"
_NOT_KEPT: Final = ("temporary:", "local:", "channel:")
"""Prefixes of Open WebUI's ids for chats that it does not keep: temporary chats (`local:` in 0.6.36), named after the
page's connection, and questions out of a channel, which many people share and which bring no history."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """`resends`: every request brings the whole conversation, as chat pages do, so one without earlier messages starts
    a new conversation. Otherwise such a request continues the conversation. `is_kept` is False where nothing of this
    turn is to be remembered. `by_name`: later questions continue it by its name, and none brings its texts.

    Each answer of a chain is a conversation of its own, named after its run, so that several questions may continue the
    same answer: `continues` is the name of that one, None at the beginning. Until the run has a name, it is empty.
    """

    name: str
    resends: bool
    is_kept: bool = True
    is_chain: bool = False
    continues: str | None = None
    by_name: bool = False

    @property
    def recalled(self) -> str | None:
        """The name of the conversation that the question continues; None for a new chain."""
        return self.continues if self.is_chain else self.name


def chain(continues: str | None, *, is_kept: bool = True) -> Conversation:
    """An answer that later questions can continue by the run's id."""
    return Conversation("", continues is None, is_kept, is_chain=True, continues=continues)


def is_open_webui(headers: Iterable[str], principal: Principal = LOCAL) -> bool:
    """Whether the client is Open WebUI: it sends an `X-OpenWebUI-*` header, or its key was made for Open WebUI."""
    return principal.client == "open-webui" or f"\n{_OPEN_WEBUI}" in "\n".join(("", *headers)).lower()


def read_conversation(
    headers: MultiMapping[str], config: OpenWebUIConfig, *, from_open_webui: bool = False
) -> Conversation | None:
    """The first of these that names one: `X-Conversation-Id`, the configured `chat_header`, `X-OpenWebUI-Chat-Id`.

    None where none does, where a template was not filled in, and for a chat that Open WebUI itself does not keep.
    `from_open_webui`: the client resends the conversation, whatever header names it. Auxiliary questions (a title,
    tags) carry the name of their chat: recognise them before a run is started.

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
