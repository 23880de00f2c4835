"""The server's protocols as the benchmark asks in them. To compare one more, add it to `PROTOCOLS`."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

CHAT: Final = "chat"
Messages: TypeAlias = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """`path` holds `{team}` where the protocol has the team there. `body` makes the body of a team and messages.
    `before` stands in front of a token's stamp where it is told first: a protocol may repeat the text when it is whole.
    A stream ends with `end`."""

    path: str
    body: Callable[[str, Messages], dict[str, Any]]
    before: bytes = b""
    end: bytes = b"[DONE]"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def stamp(self) -> re.Pattern[bytes]:
        return re.compile(re.escape(self.before) + rb"@(\d{14}) ")


def _of_openai(name: str, team: str, messages: Messages) -> dict[str, Any]:
    """`name` is the body's field for the messages."""
    return {"model": team, "stream": True, name: messages}


def _of_a2a(_: str, messages: Messages) -> dict[str, Any]:
    """The last message only: the server keeps the others."""
    parts = [{"text": messages[-1]["content"]}]
    message = {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": parts}
    return {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": {"message": message}}


def _of_ai_sdk(_: str, messages: Messages) -> dict[str, Any]:
    said = [{**message, "parts": [{"type": "text", "text": message["content"]}]} for message in messages]
    return {"messages": said, "trigger": "submit-message"}


def _of_ag_ui(_: str, messages: Messages) -> dict[str, Any]:
    """The same input would be given the same run."""
    return {"threadId": uuid.uuid4().hex, "runId": uuid.uuid4().hex, "messages": messages}


PROTOCOLS: Final[Mapping[str, Asked]] = {
    CHAT: Asked("/v1/chat/completions", partial(_of_openai, "messages")),
    "responses": Asked("/v1/responses", partial(_of_openai, "input"), b'"delta":"'),
    "a2a": Asked("/a2a/{team}", _of_a2a, b'"text":"', b'"completionTokens":', {"A2A-Version": "1.0"}),
    "ai-sdk": Asked("/v1/ai-sdk/{team}", _of_ai_sdk, b'"delta":"'),
    "ag-ui": Asked("/v1/ag-ui/{team}", _of_ag_ui, b'"delta":"', b'"duration_s":'),
}
