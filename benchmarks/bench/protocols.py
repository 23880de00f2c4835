"""The server's protocols as the benchmark asks in them. To compare one more, add it to `PROTOCOLS`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

CHAT: Final = "chat"


@dataclass(frozen=True, slots=True)
class Asked:
    """`messages` is the body's field for the messages. `before` stands in front of a token's stamp where it is told
    first: a protocol may repeat the text when it is whole. A stream ends with `end`."""

    path: str
    messages: str
    before: bytes = b""
    end: bytes = b"[DONE]"

    def body(self, team: str, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        return {"model": team, "stream": True, self.messages: messages}

    @property
    def stamp(self) -> re.Pattern[bytes]:
        return re.compile(re.escape(self.before) + rb"@(\d{14}) ")


PROTOCOLS: Final[Mapping[str, Asked]] = {
    CHAT: Asked("/v1/chat/completions", "messages"),
    "responses": Asked("/v1/responses", "input", b'"delta":"'),
}
