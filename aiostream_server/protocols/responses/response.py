"""The response object: https://platform.openai.com/docs/api-reference/responses/object

All keys of the Open Responses specification are always there (https://www.openresponses.org).
"""

from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias, TypedDict, assert_never

from msgspec import Meta

from aiostream_server.events import Error, FinishReason, RunFinished, TokenCount
from aiostream_server.intake.json_text import encode
from aiostream_server.protocols.error_at_end import error_at_end
from aiostream_server.protocols.json_schema import Natural, ref
from aiostream_server.protocols.responses.ids import response_id
from aiostream_server.protocols.responses.items import OUTPUT_ITEMS
from aiostream_server.protocols.responses.kept import KeptResponse
from aiostream_server.runs.card import RunCard

Status: TypeAlias = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
IncompleteReason: TypeAlias = Literal["max_output_tokens", "content_filter"]
ErrorCode: TypeAlias = Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
"""OpenAI's packages accept no other codes than theirs."""

_ITEM_REFS: Final = [ref(item.__name__) for item in OUTPUT_ITEMS]
_INVALID_PROMPT: Final = frozenset({"context_length_exceeded", "content_filter", "schema_not_met"})
_RATE_LIMIT: Final = frozenset({"rate_limit_exceeded", "insufficient_quota"})


class IncompleteDetails(TypedDict):
    reason: IncompleteReason


class ResponseError(TypedDict):
    code: ErrorCode
    message: str


class InputTokensDetails(TypedDict):
    cached_tokens: Natural
    cache_write_tokens: Natural


class OutputTokensDetails(TypedDict):
    reasoning_tokens: Natural


class ResponseUsage(TypedDict):
    """The tokens of all model calls of the run. The details are not known: they are 0."""

    input_tokens: Natural
    input_tokens_details: InputTokensDetails
    output_tokens: Natural
    output_tokens_details: OutputTokensDetails
    total_tokens: Natural


class ResponseConversation(TypedDict):
    id: str


class Response(TypedDict):
    """What `ResponseText` writes, for `openapi.json`."""

    id: str
    object: Literal["response"]
    created_at: Natural
    status: Status
    completed_at: Natural | None
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    model: str
    output: Annotated[list[Any], Meta(extra_json_schema={"items": {"anyOf": _ITEM_REFS}})]
    usage: ResponseUsage | None
    background: bool
    conversation: NotRequired[ResponseConversation]
    frequency_penalty: float
    instructions: str | None
    max_output_tokens: Natural | None
    max_tool_calls: Natural | None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    presence_penalty: float
    previous_response_id: str | None
    prompt_cache_key: str | None
    reasoning: dict[str, Any] | None
    safety_identifier: str | None
    service_tier: str
    store: bool
    temperature: float
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_logprobs: Natural
    top_p: float
    truncation: Literal["auto", "disabled"]


class ResponseText:
    """Writes the response of one run, as JSON of ASCII. What never changes is encoded once."""

    __slots__ = ("_echo", "_head", "_model")

    def __init__(self, card: RunCard, kept: KeptResponse) -> None:
        head = {"id": response_id(card.id), "object": "response", "created_at": int(card.created_at)}
        self._head: Final = encode(head).removesuffix("}")
        self._model: Final = encode(card.model)
        self._echo: Final = bytes(kept.echo).decode("ascii").removeprefix("{")

    def unfinished(self, status: Status, output: str = "") -> str:
        """`output` is JSON without its brackets."""
        return self._text(status, "null", "null", "null", output, "null")

    def finished(self, end: RunFinished, at: float, error: Error | None, output: str) -> str:
        """`at` is Unix time in seconds."""
        status = status_of(end.reason)
        reason = _incomplete_reason(end.reason)
        details = "null" if reason is None else encode({"reason": reason})
        completed_at = str(int(at)) if status == "completed" else "null"
        told = encode(_error(end.reason, error))
        return self._text(status, completed_at, told, details, output, encode(usage_body(end.usage)))

    def _text(self, status: Status, completed_at: str, error: str, details: str, output: str, usage: str) -> str:
        return (
            f'{self._head},"status":"{status}","completed_at":{completed_at},"error":{error},'
            f'"incomplete_details":{details},"model":{self._model},"output":[{output}],"usage":{usage},{self._echo}'
        )


def status_of(reason: FinishReason) -> Status:
    match reason:
        case "stop" | "tool_calls" | "refusal":
            return "completed"
        case "length" | "content_filter":
            return "incomplete"
        case "cancelled":
            return "cancelled"
        case "error" | "interrupted":
            return "failed"
        case _:
            assert_never(reason)


def usage_body(count: TokenCount) -> ResponseUsage:
    return {
        "input_tokens": count.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": count.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": count.prompt_tokens + count.completion_tokens,
    }


def error_body(code: str, message: str) -> ResponseError:
    """The error under OpenAI's code; the message is this server's."""
    if code in _RATE_LIMIT:
        return {"code": "rate_limit_exceeded", "message": message}
    return {"code": "invalid_prompt" if code in _INVALID_PROMPT else "server_error", "message": message}


def _incomplete_reason(reason: FinishReason) -> IncompleteReason | None:
    if reason == "length":
        return "max_output_tokens"
    return "content_filter" if reason == "content_filter" else None


def _error(reason: FinishReason, error: Error | None) -> ResponseError | None:
    error = error_at_end(reason, error)
    return None if error is None else error_body(error.code, error.message)
