"""The input of a response as a list: https://platform.openai.com/docs/api-reference/responses/input-items"""

from typing import Any, Literal, TypedDict

from aiostream_server.errors import InvalidRequest
from aiostream_server.protocols.responses.ids import input_item_id
from aiostream_server.protocols.responses.kept import KeptResponse


class InputItemList(TypedDict):
    """`first_id` and `last_id` are null for an empty page."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


def input_page(run_id: str, kept: KeptResponse, limit: int, *, after: str | None, is_ascending: bool) -> InputItemList:
    """A page of at most `limit` items behind the item `after`. Raises `InvalidRequest` for an unknown one."""
    items = [_listed(run_id, number, dict(item)) for number, item in enumerate(kept.input)]
    if not is_ascending:
        items.reverse()
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        raise InvalidRequest("after: there is no such item", param="after")
    start = 0 if after is None else ids.index(after) + 1
    page = items[start : start + limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + limit < len(items),
    }


def _listed(run_id: str, number: int, item: dict[str, Any]) -> dict[str, Any]:
    """The item with an id and, if it is a message, with its content as parts."""
    if isinstance(text := item.get("content"), str):
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        more: dict[str, Any] = {"annotations": [], "logprobs": []} if kind == "output_text" else {}
        item["content"] = [{"type": kind, "text": text, **more}]
    status = {"status": "completed"} if item.get("type") == "message" else {}
    return {**status, **item, "id": item.get("id") or input_item_id(run_id, number)}
