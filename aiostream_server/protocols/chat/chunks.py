"""The chunks of a chat stream, as OpenAI writes them: https://platform.openai.com/docs/api-reference/chat-streaming

Optional keys are left out, never null (except `finish_reason`): Open WebUI drops a chunk that has `"type": null` or
`"delta": null`. For the same reason only the usage chunk has `usage`, though OpenAI puts a null into the others.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, NotRequired, TypedDict

from msgspec import Meta

from aiostream_server.config.model import ReasoningField
from aiostream_server.events import Error, TokenCount
from aiostream_server.intake.json_text import encode, quote
from aiostream_server.protocols.chat.errors import ErrorDetail, error_frame
from aiostream_server.protocols.chat.tool_calls import ToolCallDelta
from aiostream_server.protocols.chat.whole import UsageBody, WireFinishReason, usage_body
from aiostream_server.protocols.json_schema import Natural

_CHOICE: Final = '{"index":0,"delta":{'


class Delta(TypedDict, total=False):
    role: Literal["assistant"]
    content: str
    reasoning_content: str
    reasoning: str
    tool_calls: list[ToolCallDelta]
    refusal: str


class ChunkChoice(TypedDict):
    index: Literal[0]
    delta: Delta
    finish_reason: WireFinishReason | Literal["error"] | None


class Chunk(TypedDict):
    """What `ChunkEncoder` writes, for `openapi.json`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: Natural
    model: str
    choices: Annotated[list[ChunkChoice], Meta(max_length=1)]
    usage: NotRequired[UsageBody]
    error: NotRequired[ErrorDetail]


class ChunkEncoder:
    """The chunks of one answer, each one line of ASCII JSON without its SSE frame.

    The envelope is encoded once, so that a token costs only the quoting of its text and a concatenation; that of
    reasoning when there is some.
    """

    __slots__ = ("_delta", "_reasoning", "_reasoning_fields", "completion_id")

    def __init__(
        self,
        completion_id: str,
        created: int,
        model: str,
        reasoning_fields: Sequence[ReasoningField] = ("reasoning_content",),
    ) -> None:
        self.completion_id: Final = completion_id
        head = {"id": completion_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._delta = encode(head).removesuffix("}") + ',"choices":[' + _CHOICE
        self._reasoning_fields = reasoning_fields
        self._reasoning: tuple[str, ...] | None = None

    def role(self) -> str:
        """The first chunk of a stream, and the only one with a role."""
        return self._delta + '"role":"assistant","content":""},"finish_reason":null}]}'

    def content(self, text: str) -> str:
        return quote(text).join(self.around("content"))

    def reasoning(self, text: str) -> str:
        """Not OpenAI's: Open WebUI, vLLM and DeepSeek call it `reasoning_content`, OpenRouter and newer vLLM
        `reasoning`. Comes before the first `content`."""
        return quote(text).join(self.around("reasoning"))

    def refusal(self, text: str) -> str:
        """Repeats an answer by which the model refused, for clients that look for it there."""
        return f'{self._delta}"refusal":{quote(text)}}},"finish_reason":null}}]}}'

    def around(self, channel: Literal["content", "reasoning"]) -> tuple[str, ...]:
        """The parts of a chunk before and behind its quoted text, and between where it stands in several fields. Many
        chunks share them."""
        if channel == "content":
            return f'{self._delta}"content":', '},"finish_reason":null}]}'
        if self._reasoning is None:
            first, *others = [f'"{name}":' for name in self._reasoning_fields]
            between = [f",{other}" for other in others]
            self._reasoning = (self._delta + first, *between, '},"finish_reason":null}]}')
        return self._reasoning

    def tool_call(self, delta: ToolCallDelta) -> str:
        return f'{self._delta}"tool_calls":[{encode(delta)}]}},"finish_reason":null}}]}}'

    def finish(self, reason: WireFinishReason | Literal["error"]) -> str:
        return f'{self._delta}}},"finish_reason":"{reason}"}}]}}'

    def failed(self, error: Error) -> str:
        """The last chunk of a stream that failed."""
        told = error_frame(error.message, code=error.code).removeprefix("{")
        return f'{self._delta}"content":""}},"finish_reason":"error"}}],{told}'

    def usage(self, count: TokenCount) -> str:
        """The chunk without choices that `stream_options.include_usage` asks for; comes after `finish`."""
        return f'{self._delta.removesuffix(_CHOICE)}],"usage":{encode(usage_body(count))}}}'
