"""AutoGen's messages as Markdown: text as it is, data as a table or as JSON, pictures as links to files of the run.

A user's own message class may be faulty: if its text cannot be had, its fields are shown, and if these cannot be had,
the name of the class. A picture that cannot be kept as a file is shown as a note about it. Base64 from agents is kept
without decoding the whole picture: only its header is read, for its size.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MultiModalMessage, StructuredMessage
from autogen_core import Image
from PIL import Image as Pillow
from pydantic import BaseModel

from aiostream_server.store.run_files import FileRefused, current_files
from aiostream_server.teams.autogen_private import is_openai_image
from aiostream_server.text import clipped, indented_json
from aiostream_server.tools.sql.cells import Cell
from aiostream_server.tools.sql.rows import Rows

_MOST_ROWS: Final = 100
_MOST_COLUMNS: Final = 20
_MOST_CELL_CHARS: Final = 300
_BACKTICKS: Final = re.compile(r"`+")
_AUTOGEN: Final = "autogen_agentchat."
_MOST_ENCODED_CHARS: Final = 20_000_000
_MOST_LOSSLESS_PIXELS: Final = 500_000  # encoding a larger PNG would block the event loop
_KINDS: Final = ("PNG", "JPEG", "GIF", "WEBP")
_BEGINNING: Final = "[Image: "
_IN_RESULT: Final = re.compile(r"\[Image: ([A-Za-z0-9+/]{32,}={0,2})\]")  # in a tool's result, as AutoGen writes it
_ADDRESS: Final = re.compile(r"https?://[^\s<>()]{1,2000}")


def markdown_of(message: BaseChatMessage) -> str:
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
    """The message's own text, else its fields."""
    try:
        return message.to_text()
    except Exception:  # raised by a user's own class
        try:
            return data(
                message.model_dump(mode="json", exclude={"id", "models_usage", "metadata", "created_at", "type"})
            )
        except Exception:  # a field that JSON cannot express
            return type(message).__name__


def code_block(text: str, language: str = "") -> str:
    """The text in a code block, with a fence that no line of the text can close."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def data(value: object) -> str:
    """A list of flat objects, alone or the only value of an object, as a table; everything else as JSON."""
    alone = next(iter(value.values())) if isinstance(value, Mapping) and len(value) == 1 else value
    return _table(alone) or code_block(indented_json(value), "json")


def _json_in(text: str) -> object:
    """The object or list that the text is; None for any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value or None


def _table(rows: object) -> str:
    """Empty for anything but a list of flat objects."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) and row for row in rows):
        return ""
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    cells = (cell for row in rows for cell in row.values())
    if len(columns) > _MOST_COLUMNS or not all(isinstance(cell, str | int | float | bool | None) for cell in cells):
        return ""
    shown = tuple(tuple(_cell(row.get(name)) for name in columns) for row in rows[:_MOST_ROWS])
    left_out = len(rows) - len(shown)
    table = Rows(columns, shown).to_markdown(null="")
    return f"{table}\n\n*… {left_out} more left out*" if left_out else table


def _cell(value: Cell) -> Cell:
    return clipped(value, _MOST_CELL_CHARS) or None if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The bytes of an image file."""

    content: bytes
    kind: str
    size: tuple[int, int]

    @property
    def shape(self) -> str:
        return f"{self.size[0]} × {self.size[1]}"

    def shown(self, title: str) -> str:
        files = current_files.get()
        if files is not None:
            try:
                return files.add_soon(self.content, f"image/{self.kind.lower()}", title).markdown
            except FileRefused:
                pass  # a note is shown instead
        return f"*[picture by {title}: {self.shape}, {self.kind}, {-(-len(self.content) // 1024)} KiB]*"


def picture(image: Image, title: str) -> str:
    """Markdown of a picture that the agent `title` made."""
    width, height = image.image.size
    is_small = width * height <= _MOST_LOSSLESS_PIXELS
    kind = "PNG" if is_small else "JPEG"
    written = BytesIO()
    image.image.save(written, kind, **({"compress_level": 1} if is_small else {"quality": 85}))
    return _Encoded(written.getvalue(), kind, (width, height)).shown(title)


def encoded_picture(content: str, title: str) -> str:
    """Markdown of a picture given as base64 or as a `data:` URL. Any other URL is returned as it is."""
    if _ADDRESS.fullmatch(content):
        return content
    found = _read_picture(content.rpartition(",")[2])
    return f"*[picture by {title} that cannot be read]*" if found is None else found.shown(title)


class ToolPictures:
    """The pictures in the results of one run's tools, which AutoGen writes as base64."""

    def __init__(self) -> None:
        self._shown: dict[int, str] = {}  # hash of the base64 -> Markdown

    def taken_out(self, result: str, tool: str) -> tuple[str, list[str]]:
        """The result with a short note in place of each picture, and the pictures as Markdown."""
        pictures: list[str] = []

        def note(match: re.Match[str]) -> str:
            found = _read_picture(match[1])
            if found is None:
                return match[0]
            pictures.append(found.shown(tool))
            self._shown[hash(match[1])] = pictures[-1]
            return f"[picture: {found.shape}]"

        return (_IN_RESULT.sub(note, result), pictures) if _BEGINNING in result else (result, pictures)

    def put_in(self, answer: str) -> str:
        """Results that are an agent's answer, with the pictures that were taken out of them."""
        if _BEGINNING not in answer:
            return answer
        return _IN_RESULT.sub(lambda match: self._shown.get(hash(match[1]), match[0]), answer)


def _read_picture(text: str) -> _Encoded | None:
    if len(text) > _MOST_ENCODED_CHARS:
        return None
    try:
        content = base64.b64decode(text, validate=True)
        with Pillow.open(BytesIO(content), formats=_KINDS) as image:
            return _Encoded(content, image.format or "", image.size)
    except (OSError, ValueError, Pillow.DecompressionBombError):
        return None
