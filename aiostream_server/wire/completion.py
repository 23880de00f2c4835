"""An answer as OpenAI sends it, streamed and not: https://platform.openai.com/docs/api-reference/chat-streaming

Optional keys are left out, never null (but for `finish_reason`): Open WebUI drops a chunk that has `"type": null` or
`"delta": null`. For the same reason `usage` stands in the usage chunk alone, though OpenAI puts a null into the others.
"""

import secrets
from typing import Literal, TypeAlias, assert_never

from aiostream_server.errors import ServerError
from aiostream_server.events.model import FinishReason, TokenCount
from aiostream_server.wire.json_text import encode, quote

WireFinishReason: TypeAlias = Literal["stop", "length"]


def new_completion_id() -> str:
    """Unguessable: an id that is shown to one client must not lead to another's."""
    return f"chatcmpl-{secrets.token_hex(16)}"


def wire_finish_reason(reason: FinishReason) -> WireFinishReason:
    """OpenAI has no word for a cancelled, failed or interrupted answer; what failed is said by the error frame."""
    match reason:
        case "length":
            return "length"
        case "stop" | "cancelled" | "error" | "interrupted":
            return "stop"
        case _:
            assert_never(reason)


class ChunkEncoder:
    """The chunks of one answer, each one line of ASCII JSON; the caller frames it.

    The envelope is encoded once; a token costs the quoting of its text and a concatenation.
    """

    __slots__ = ("_delta", "_head")

    def __init__(self, completion_id: str, created: int, model: str) -> None:
        head = {"id": completion_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = encode(head).removesuffix("}") + ',"choices":['
        self._delta = self._head + '{"index":0,"delta":{'

    def role(self) -> str:
        """The first chunk of a stream, and the only one with a role."""
        return self._delta + '"role":"assistant","content":""},"finish_reason":null}]}'

    def content(self, text: str) -> str:
        return quote(text).join(self.around("content"))

    def reasoning(self, text: str) -> str:
        """Not OpenAI's, but what Open WebUI, vLLM and DeepSeek agree on. To be sent before the first `content`."""
        return quote(text).join(self.around("reasoning"))

    def around(self, channel: Literal["content", "reasoning"]) -> tuple[str, str]:
        """What stands before and behind the quoted text of a chunk: for many of them."""
        key = "content" if channel == "content" else "reasoning_content"
        return f'{self._delta}"{key}":', '},"finish_reason":null}]}'

    def finish(self, reason: WireFinishReason) -> str:
        return f'{self._delta}}},"finish_reason":"{reason}"}}]}}'

    def usage(self, count: TokenCount) -> str:
        """The chunk without choices that `stream_options.include_usage` asks for; comes after `finish`."""
        return f'{self._head}],"usage":{encode(usage_body(count))}}}'


def error_frame(message: str, *, code: str, kind: str = "server_error") -> str:
    """What a stream says when it fails after its headers: no `choices`, or clients would take it for a chunk."""
    return encode(_error(message, kind=kind, param=None, code=code))


def completion_body(
    completion_id: str,
    created: int,
    model: str,
    *,
    content: str,
    finish_reason: WireFinishReason,
    usage: TokenCount,
    reasoning_content: str = "",
) -> dict[str, object]:
    """The answer that is not streamed."""
    message = {"role": "assistant", "content": content}
    if reasoning_content:
        message["reasoning_content"] = reasoning_content
    return {
        "id": completion_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": usage_body(usage),
    }


def usage_body(count: TokenCount) -> dict[str, int]:
    return {
        "prompt_tokens": count.prompt_tokens,
        "completion_tokens": count.completion_tokens,
        "total_tokens": count.prompt_tokens + count.completion_tokens,
    }


def error_body(error: ServerError) -> dict[str, object]:
    """The body of every answer that is an error."""
    return _error(str(error), kind=error.type, param=error.param, code=error.code)


def _error(message: str, *, kind: str, param: str | None, code: str) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
