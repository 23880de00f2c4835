"""The files of an answer: its Markdown holds links to them."""

import re
from collections.abc import Callable, Iterator
from typing import Final

_LINK: Final = re.compile(r"(!?)\[([^\[\]\n]{0,200})\]\((https?://[^\s()]{1,2000})\)")
_CSV: Final = "text/csv"
_PICTURE: Final = "image/*"  # the file's own answer says which


def files_in(answer: str, is_own: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """URL and media type of each file of this server."""
    for mark, title, url in dict.fromkeys(found.groups() for found in _LINK.finditer(answer)):
        media_type = _PICTURE if mark else _CSV if title.endswith(".csv") else "application/octet-stream"
        if is_own(url):
            yield url, media_type
