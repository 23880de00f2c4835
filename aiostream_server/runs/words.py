"""What a message of AutoGen's says, as Markdown: words as they are, data as a table or as JSON, pictures as pictures.

A message class of somebody's own need not be perfect: where its text cannot be had its fields are shown, where these
cannot be had its name is.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MultiModalMessage, StructuredMessage
from pydantic import BaseModel

from aiostream_server.runs.images import encoded_picture, picture
from aiostream_server.teams.autogen_private.private_modules import is_openai_image
from aiostream_server.tools.sql.cells import Cell
from aiostream_server.tools.sql.rows import Rows

_MOST_ROWS: Final = 100
_MOST_COLUMNS: Final = 20
_MOST_CELL_CHARS: Final = 300
_BACKTICKS: Final = re.compile(r"`+")
_AUTOGEN: Final = "autogen_agentchat."


def words_of(message: BaseChatMessage) -> str:
    match message:
        case MultiModalMessage():
            parts = (part if isinstance(part, str) else picture(part, message.source) for part in message.content)
            return "\n\n".join(part for part in parts if part.strip())
        case StructuredMessage(content=BaseModel() as content, format_string=None):
            return data(content.model_dump(mode="json"))
    if is_openai_image(message):
        return encoded_picture(getattr(message, "content", ""), message.source)
    text = text_of(message)
    if type(message).__module__.startswith(_AUTOGEN):
        return text
    value = _json_in(text)
    return text if value is None else data(value)


def text_of(message: BaseChatMessage | BaseAgentEvent) -> str:
    """The message's own idea of its text, else its fields."""
    try:
        return message.to_text()
    except Exception:  # whatever code of somebody's own raises
        try:
            return data(
                message.model_dump(mode="json", exclude={"id", "models_usage", "metadata", "created_at", "type"})
            )
        except Exception:  # a field that JSON has no word for
            return type(message).__name__


def code_block(text: str, language: str = "") -> str:
    """That its text cannot close."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def data(value: object) -> str:
    """A list of flat objects as a table, be it alone in another object or not; everything else as JSON."""
    alone = next(iter(value.values())) if isinstance(value, Mapping) and len(value) == 1 else value
    if _is_table(alone):
        return _table(alone)
    return code_block(json.dumps(value, indent=2, ensure_ascii=False), "json")


def _json_in(text: str) -> object:
    """An object or a list; None where the text is anything else."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value or None


def _is_table(value: object) -> TypeGuard[Sequence[Mapping[str, Cell]]]:
    if not isinstance(value, list) or not value or not all(isinstance(row, Mapping) and row for row in value):
        return False
    columns = {name for row in value for name in row}
    cells = (cell for row in value for cell in row.values())
    return len(columns) <= _MOST_COLUMNS and all(isinstance(cell, str | int | float | bool | None) for cell in cells)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    shown = tuple(tuple(_cell(row.get(name, "")) for name in columns) for row in rows[:_MOST_ROWS])
    left_out = len(rows) - len(shown)
    table = Rows(columns, shown).to_markdown()
    return f"{table}\n\n*… {left_out} more left out*" if left_out else table


def _cell(value: Cell) -> Cell:
    if value is None:
        return ""
    if isinstance(value, str) and len(value) > _MOST_CELL_CHARS:
        return f"{value[:_MOST_CELL_CHARS]}…"
    return value
