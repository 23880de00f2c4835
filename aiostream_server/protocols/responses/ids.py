"""Ids of a response and of its items. All are made of the run's id, so every replay of a run has the same ones.

An item's id names the response that it belongs to: a client that only refers to an item (`item_reference`) says by it
what it continues.
"""

import re
from typing import Final, Literal, TypeAlias

ItemPrefix: TypeAlias = Literal["msg", "rs", "fc", "fco"]
"""Of a message, of reasoning, of a call and of its output."""

OWN_CALL: Final = "own_call_"
"""Begins the call ids of the team's own tools, which a client that sends the items back does not run."""

_RUN: Final = "run-"
_RESPONSE: Final = "resp_"
_ITEM: Final = re.compile(r"(?:msg|rs|fc|fco)_(?P<run>[A-Za-z0-9_-]{16,64})_(?:in)?[0-9]{1,6}", re.ASCII)


def response_id(run_id: str) -> str:
    return _RESPONSE + run_id.removeprefix(_RUN)


def run_id_of(response_id: str) -> str | None:
    """None for what is certainly not the id of a response."""
    tail = response_id.removeprefix(_RESPONSE)
    return _RUN + tail if tail and tail != response_id else None


def item_id(prefix: ItemPrefix, run_id: str, number: int) -> str:
    """`number` is the item's place in the output."""
    return f"{prefix}_{run_id.removeprefix(_RUN)}_{number}"


def input_item_id(run_id: str, number: int) -> str:
    return f"msg_{run_id.removeprefix(_RUN)}_in{number}"


def run_of_item(item: str) -> str | None:
    """The id of the run that an item belongs to; None for an item that is not ours."""
    found = _ITEM.fullmatch(item)
    return None if found is None else _RUN + found["run"]
