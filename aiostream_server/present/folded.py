"""A part of an answer that the reader folds out: a complete `<details>` block.

It must reach Open WebUI in one delta: half of one shows as raw HTML. Its page looks for `</details` in the raw text, in
fences, too; then it decodes the entities of what stands inside, and only then reads that as Markdown. So for a page all
that might mean anything before that is written as an entity, and comes out as it was.
"""

import html
import re
from typing import Final

from aiostream_server.events.signs import BREAK
from aiostream_server.present.page import Page

_SUMMARY_CHARS: Final = 200
_MARKUP: Final = re.compile("[<◁]")
_SPECIAL: Final = re.compile(r"[&<>$\\◁]|:(?=::)|!(?=\[)|`{3,}|~{3,}")


def folded(title: str, body: str, page: Page | None) -> str:
    """`body` is Markdown. The page shows the title as it is, other readers as HTML."""
    line = " ".join(title.split())[:_SUMMARY_CHARS]  # a blank line would end the HTML
    summary = html.escape(line) if page is None else _MARKUP.sub(rf"\g<0>{BREAK}", line)
    inside = body if page is None else _SPECIAL.sub(_as_entities, body)
    return f"<details>\n<summary>{summary}</summary>\n\n{inside}\n\n</details>"


def _as_entities(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(char)};" for char in match[0])
