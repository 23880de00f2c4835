"""Pictures that agents and tools make, as Markdown: kept as files of the run, shown by their links.

Where a run can keep no files, and of a picture that is too large, a note says what there was. What comes as base64 is
kept as it is: nobody looks at more of it than its beginning, which says how large it is.
"""

import base64
import re
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from autogen_core import Image
from PIL import Image as Pillow

from aiostream_server.store.run_files import FileRefused, current_files

_MOST_ENCODED_CHARS: Final = 20_000_000
_MOST_LOSSLESS_PIXELS: Final = 500_000  # a larger PNG would hold up everybody while it is made
_KINDS: Final = ("PNG", "JPEG", "GIF", "WEBP")
_BEGINNING: Final = "[Image: "
_IN_RESULT: Final = re.compile(r"\[Image: ([A-Za-z0-9+/]{32,}={0,2})\]")  # as AutoGen writes one into a tool's result
_ADDRESS: Final = re.compile(r"https?://[^\s<>()]{1,2000}")


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The bytes of a file."""

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
                pass  # then a note it is
        return f"*[picture by {title}: {self.shape}, {self.kind}, {-(-len(self.content) // 1024)} KiB]*"


def picture(image: Image, title: str) -> str:
    """One that an agent, named `title`, has made."""
    width, height = image.image.size
    is_small = width * height <= _MOST_LOSSLESS_PIXELS
    kind = "PNG" if is_small else "JPEG"
    written = BytesIO()
    image.image.save(written, kind, **({"compress_level": 1} if is_small else {"quality": 85}))
    return _Encoded(written.getvalue(), kind, (width, height)).shown(title)


def encoded_picture(content: str, title: str) -> str:
    """One as base64 or a `data:` URL; of another address, the address. Whatever else is there is no picture."""
    if _ADDRESS.fullmatch(content):
        return content
    found = _read(content.rpartition(",")[2])
    return f"*[picture by {title} that cannot be read]*" if found is None else found.shown(title)


class ToolPictures:
    """Those in the results of one run's tools, where AutoGen writes them as base64."""

    def __init__(self) -> None:
        self._shown: dict[int, str] = {}  # hash of the base64 -> Markdown

    def taken_out(self, result: str, tool: str) -> tuple[str, list[str]]:
        """The result with a few words in the place of each picture; and the pictures."""
        pictures: list[str] = []

        def note(match: re.Match[str]) -> str:
            found = _read(match[1])
            if found is None:
                return match[0]
            pictures.append(found.shown(tool))
            self._shown[hash(match[1])] = pictures[-1]
            return f"[picture: {found.shape}]"

        return (_IN_RESULT.sub(note, result), pictures) if _BEGINNING in result else (result, pictures)

    def put_in(self, answer: str) -> str:
        """Results that are given as an answer, with the pictures that were taken out of them."""
        if _BEGINNING not in answer:
            return answer
        return _IN_RESULT.sub(lambda match: self._shown.get(hash(match[1]), match[0]), answer)


def _read(text: str) -> _Encoded | None:
    if len(text) > _MOST_ENCODED_CHARS:
        return None
    try:
        content = base64.b64decode(text, validate=True)
        with Pillow.open(BytesIO(content), formats=_KINDS) as image:
            return _Encoded(content, image.format or "", image.size)
    except (OSError, ValueError, Pillow.DecompressionBombError):
        return None
