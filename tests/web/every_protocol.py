"""One streamed question in each protocol, for what all of them have to do alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.kit.serving import chat_body
from tests.web.bare_client import posted


@dataclass(frozen=True, slots=True)
class Way:
    """How to ask the team `solo`. `headers` go beside those of JSON."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        """The whole request."""
        return posted(self.path, self.body, "".join(f"{name}: {value}\r\n" for name, value in self.headers.items()))


def _rpc(method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


_MCP: Final = {"name": "solo", "arguments": {"question": "hi"}, "_meta": {"progressToken": "t"}}
_A2A: Final = {"message": {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "hi"}]}}
WAYS: Final[Mapping[str, Way]] = {
    "chat": Way("/v1/chat/completions", chat_body("hi", model="solo")),
    "responses": Way("/v1/responses", {"model": "solo", "input": "hi", "stream": True}),
    "runs": Way("/v1/runs", chat_body("hi", model="solo")),
    "ai_sdk": Way(
        "/v1/ai-sdk/solo", {"id": "ui", "messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]}
    ),
    "ag_ui": Way(
        "/v1/ag-ui/solo",
        {"threadId": "talk", "runId": "mine", "messages": [{"id": "m", "role": "user", "content": "hi"}]},
    ),
    "a2a": Way("/a2a/solo", _rpc("SendStreamingMessage", _A2A), {"A2A-Version": "1.0"}),
    "mcp": Way("/mcp", _rpc("tools/call", _MCP), {"Accept": "application/json, text/event-stream"}),
}
SHOWING_TOKENS: Final = tuple(name for name in WAYS if name != "mcp")
"""MCP tells the progress of a call; its result comes whole."""
