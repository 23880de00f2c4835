"""The chunks of the AI SDK's stream: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol"""

from typing import Any, Literal, TypeAlias, assert_never

from aiostream_server.events import FinishReason
from aiostream_server.intake.json_text import encode
from aiostream_server.sse.frames import data_frame

Chunk: TypeAlias = dict[str, Any]
"""JSON, with a `type`."""
UIFinishReason: TypeAlias = Literal["stop", "length", "content-filter", "tool-calls", "error"]


def frame(chunk: Chunk) -> bytes:
    return data_frame(encode(chunk))


def server_tool(call_id: str) -> Chunk:
    """`providerExecuted`: the page does not run it. `dynamic`: the page's types do not know it."""
    return {"toolCallId": call_id, "providerExecuted": True, "dynamic": True}


def finish_reason(reason: FinishReason) -> UIFinishReason:
    match reason:
        case "stop" | "refusal":
            return "stop"
        case "length":
            return reason
        case "content_filter":
            return "content-filter"
        case "tool_calls":
            return "tool-calls"
        case "cancelled" | "error" | "interrupted":
            return "error"
        case _:
            assert_never(reason)
