"""Tool calls and their results as Markdown: one complete `<details>` block each; or, `flat`, a line and the rest below.

Whatever stands inside comes from a model or a tool and must not break out: it is fenced by more backticks than it
holds, or, where it is a table, escaped. A page that looks for `</details` in the raw text would find it in a fence,
too, so no such tag stands in a block but its own. See `folded` for what else a page needs.

A block grows by little over what it is made of, so that who bounds that bounds the block.
"""

import json
import re
from typing import Final

from aiostream_server.events import Action, ToolResult
from aiostream_server.events.signs import BREAK
from aiostream_server.present.folded import folded
from aiostream_server.present.marking import marked
from aiostream_server.present.page import Page

_NOTHING_GIVEN: Final = "*without arguments*"  # Open WebUI shows no title over an empty block
_NOTHING_MORE: Final = "*nothing more*"
_BACKTICKS: Final = re.compile(r"`+")
_OWN_TAG: Final = re.compile(r"<(?=/?(?:details|summary))", re.IGNORECASE)
_MARKUP: Final = re.compile(r"<|!(?=\\?\[)")
_HTML: Final = re.compile(r"<(?=[A-Za-z/!?|])|!(?=\[)")
_LINE_END: Final = re.compile(r"\r\n?")
_ROWS_LEFT_OUT: Final = r"\n\n(?:no|[0-9]+) rows? \((?:[0-9]+ )?(?:more left out|long values shortened)\)"
_TABLE: Final = re.compile(rf"\|[^\r\n]*\n\|[ :|-]+(?:\n\|[^\r\n]*)*(?:{_ROWS_LEFT_OUT})?")
_SQL_ARGUMENTS: Final = frozenset({"sql", "query"})
_RESULT_CHARS: Final = 60
_TITLE_CHARS: Final = 200
_MOST_INDENTED_CHARS: Final = 4_000


def action_block(event: Action, page: Page | None = None, *, flat: bool = False) -> str:
    language, text = readable_arguments(event.arguments)
    body = fenced(text, language) if text else ""
    if flat:
        return _flat(f"⚡ **{_line(event.tool, page)}**", body, page)
    return folded(f"⚡ {event.tool}", body or _NOTHING_GIVEN, page)


def result_block(event: ToolResult, page: Page | None = None, *, flat: bool = False) -> str:
    body = table_or_fence(event.content) if event.content.strip() else ""
    if event.truncated and not event.summary:
        body += "\n\n*… more was left out*"
    title = f"📦 {_result_title(event)}"
    return _flat(_line(title, page), body, page) if flat else folded(title, body or _NOTHING_MORE, page)


def fenced(text: str, language: str = "") -> str:
    """A code block that its text cannot close."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{_OWN_TAG.sub(f'<{BREAK}', text)}\n{fence}"


def table_or_fence(content: str) -> str:
    """A table's markup is escaped by entities: a backslash might itself stand behind one."""
    table = content.strip()
    if _TABLE.fullmatch(table):
        return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", table)
    return fenced(content)


def readable_arguments(arguments: str) -> tuple[str, str]:
    """(language of the fence, text): a lone text argument stands for itself, others as indented JSON."""
    try:
        parsed = json.loads(arguments)
        indented = json.dumps(parsed, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "", arguments
    if parsed is None or parsed == {}:
        return "", ""
    if isinstance(parsed, dict) and len(parsed) == 1:
        ((name, value),) = parsed.items()
        if isinstance(value, str):
            return ("sql" if name in _SQL_ARGUMENTS else ""), value
    return "json", indented if len(indented) <= _MOST_INDENTED_CHARS else arguments


def _flat(line: str, body: str, page: Page | None) -> str:
    """Open WebUI quotes reasoning line by line, and 0.12 only at `\\n`: another line end would end the quote."""
    if page is not None:
        body = _HTML.sub(rf"\g<0>{BREAK}", _LINE_END.sub("\n", body))
    return f"{line}\n\n{body}" if body else line


def _line(title: str, page: Page | None) -> str:
    line = " ".join(title.split())[:_TITLE_CHARS]
    return _OWN_TAG.sub(f"<{BREAK}", line) if page is None else marked(line, page)


def _result_title(event: ToolResult) -> str:
    if event.summary:
        return event.summary
    if event.is_error:
        return f"{event.tool} failed"
    first_line, _, rest = event.content.strip().partition("\n")
    is_short = first_line and not rest and len(first_line) <= _RESULT_CHARS
    return f"{event.tool}: {first_line}" if is_short else event.tool
