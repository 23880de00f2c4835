"""Links and pictures of an answer as annotations: `url_citation`, which clients show as sources.

Signed links to files of this server are left out: anyone can read the file with one, and Open WebUI 0.12 asks a search
engine for an icon of each cited address.

https://platform.openai.com/docs/api-reference/responses/object
"""

import re
from itertools import islice
from typing import Final, Literal, TypedDict

from aiostream_server.protocols.json_schema import Natural

_MOST: Final = 50
_LINK: Final = re.compile(r"\[([^\[\]\r\n]{0,200})\]\((https?://[^\s()<>]{1,2000})\)")
_SIGNED: Final = re.compile(r"/v1/files/[^?]*\?.*signature=")


class UrlCitation(TypedDict):
    """`start_index` and `end_index` count characters of the text."""

    type: Literal["url_citation"]
    url: str
    title: str
    start_index: Natural
    end_index: Natural


def citations(text: str) -> list[UrlCitation]:
    """A citation for each of the first Markdown links in a text, pictures included."""
    if "](http" not in text:
        return []
    links = (match for match in _LINK.finditer(text) if not _SIGNED.search(match[2]))
    return [_citation(match) for match in islice(links, _MOST)]


def _citation(match: re.Match[str]) -> UrlCitation:
    title, url = match[1] or match[2], match[2]
    return {"type": "url_citation", "url": url, "title": title, "start_index": match.start(), "end_index": match.end()}
