"""The items of a response's output: https://platform.openai.com/docs/api-reference/responses/object#output"""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, TypedDict, get_args

from aiostream_server.protocols.responses.annotations import UrlCitation

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class OutputText(TypedDict):
    type: Literal["output_text"]
    text: str
    annotations: list[UrlCitation]
    logprobs: list[str]


class SummaryText(TypedDict):
    type: Literal["summary_text"]
    text: str


class MessageItem(TypedDict):
    """The answer, or a part of it."""

    type: Literal["message"]
    id: str
    status: ItemStatus
    role: Literal["assistant"]
    content: list[OutputText]


class ReasoningItem(TypedDict):
    """What the team does before it answers, in the words of one speaker."""

    type: Literal["reasoning"]
    id: str
    summary: list[SummaryText]
    status: ItemStatus


class FunctionCallItem(TypedDict):
    """A call of one of the client's tools. For Open WebUI also one of the team's own, which has an output."""

    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus


class CallOutputText(TypedDict):
    type: Literal["input_text"]
    text: str


class FunctionCallOutputItem(TypedDict):
    """Open WebUI stops drawing at an `output` that is no list."""

    type: Literal["function_call_output"]
    id: str
    call_id: str
    output: list[CallOutputText]
    status: ItemStatus


OutputItem: TypeAlias = MessageItem | ReasoningItem | FunctionCallItem | FunctionCallOutputItem
OUTPUT_ITEMS: Final = get_args(OutputItem)


def output_text(text: str, annotations: Iterable[UrlCitation] = ()) -> OutputText:
    return {"type": "output_text", "text": text, "annotations": [*annotations], "logprobs": []}


def summary_text(text: str) -> SummaryText:
    return {"type": "summary_text", "text": text}


def message(item_id: str, status: ItemStatus, *content: OutputText) -> MessageItem:
    return {"type": "message", "id": item_id, "status": status, "role": "assistant", "content": [*content]}


def reasoning(item_id: str, status: ItemStatus, *summary: SummaryText) -> ReasoningItem:
    return {"type": "reasoning", "id": item_id, "summary": [*summary], "status": status}
