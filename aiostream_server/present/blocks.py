"""Tool calls and their results as Markdown: one complete `<details>` block each; or, `flat`, a line and the rest below.

The text inside comes from a model or a tool and must not break out of the block. So a fence has more backticks than the
text, a table's markup is escaped, and a `<details>` or `</details>` tag in the text is broken: a page looks for it in
the raw text, in fences too.

A block is little longer than the text in it, so a bound on the text bounds the block.
"""

import html
import json
import re
from typing import Final

from aiostream_server.events import Action, ToolResult
from aiostream_server.events.breaks import BREAK
from aiostream_server.present.escaping import Page, escaped_line
from aiostream_server.present.sql_lines import in_lines
from aiostream_server.text import indented_json

ROWS_AS_FILE: Final = "The user gets all rows as a file, below the answer."
"""What a tool may say below a table."""

_NO_ARGUMENTS: Final = "*without arguments*"  # Open WebUI shows no title over an empty block
_NO_CONTENT: Final = "*nothing more*"
_WORD: Final = re.compile(r"[\w.-]+")
_BACKTICKS: Final = re.compile(r"`+")
_OWN_TAG: Final = re.compile(r"<(?=/?(?:details|summary))", re.IGNORECASE)
_MARKUP: Final = re.compile(r"<|!(?=\\?\[)")
_HTML: Final = re.compile(r"<(?=[A-Za-z/!?|])|!(?=\[)")
_LINE_END: Final = re.compile(r"\r\n?")
_BELOW_ROWS: Final = rf"(?:\n\n… and(?: [0-9,]+)? more rows?)?(?:\n\n{re.escape(ROWS_AS_FILE)})?"
_TABLE: Final = re.compile(rf"\|[^\r\n]*\n\|[ :|-]+(?:\n\|[^\r\n]*)*{_BELOW_ROWS}")
_SQL_ARGUMENTS: Final = frozenset({"sql", "query"})
_TEXT: Final = "text"  # of a fence without a language Open WebUI guesses one, and offers to run it
_RESULT_CHARS: Final = 60
_TITLE_CHARS: Final = 200
_MAX_INDENTED_CHARS: Final = 4_000
_TAG: Final = re.compile("[<◁]")
_SPECIAL: Final = re.compile(r"[&<>$\\◁]|:(?=::)|!(?=\[)|`{3,}|~{3,}")


def tool_block(event: Action | ToolResult, page: Page | None = None, *, flat: bool = False) -> str:
    if isinstance(event, Action):
        body, if_empty = _arguments_body(event), _NO_ARGUMENTS
        title, line = f"{event.sign} {event.tool}", f"{event.sign} **{_line(event.tool, page)}**"
    else:
        body, if_empty = _result_body(event), _NO_CONTENT
        title = f"{event.sign} {_result_title(event)}"
        line = _line(title, page)
    return _flat(line, body, page) if flat else folded(title, body or if_empty, page)


def answered_block(call: Action, result: ToolResult, page: Page | None) -> str:
    """A call and its result in one block; `schema: 6 tables`, `bar chart: 4 bars`."""
    told = _result_title(result)
    title = told if call.tool in _WORD.findall(told) else f"{call.tool}: {told}"
    bodies = filter(None, (_arguments_body(call), _result_body(result)))
    return folded(f"{result.sign} {title}", "\n\n".join(bodies) or _NO_CONTENT, page)


def folded(title: str, body: str, page: Page | None) -> str:
    """A complete `<details>` block around the Markdown `body`.

    It must reach Open WebUI in one delta: half of one shows as raw HTML. The page looks for `</details` in the raw
    text, decodes the entities inside, and then reads the result as Markdown. So for a page each character that has a
    meaning before that step is written as an entity. The page shows the title as plain text, other readers as HTML.
    """
    line = " ".join(title.split())[:_TITLE_CHARS]  # a blank line would end the HTML
    summary = html.escape(line) if page is None else _TAG.sub(rf"\g<0>{BREAK}", line)
    inside = body if page is None else _SPECIAL.sub(_as_entities, body)
    return f"<details>\n<summary>{summary}</summary>\n\n{inside}\n\n</details>"


def fenced(text: str, language: str = "") -> str:
    """A code block that its text cannot close."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{_OWN_TAG.sub(f'<{BREAK}', text)}\n{fence}"


def table_or_fence(content: str) -> str:
    """A table, escaped, or else a fenced block. Entities escape, because a backslash might follow another one."""
    table = content.strip()
    if _TABLE.fullmatch(table):
        return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", table)
    return fenced(content, _TEXT)


def readable_arguments(arguments: str) -> tuple[str, str]:
    """(language of the fence, text or nothing): a single text argument as it is, others as indented JSON."""
    try:
        parsed = json.loads(arguments)
        if parsed is None or parsed == {}:
            return _TEXT, ""
        if isinstance(parsed, dict) and len(parsed) == 1:
            ((name, value),) = parsed.items()
            if isinstance(value, str):
                return ("sql", in_lines(value)) if name in _SQL_ARGUMENTS else (_TEXT, value)
        indented = indented_json(parsed)
    except (ValueError, RecursionError):
        return _TEXT, arguments
    return "json", indented if len(indented) <= _MAX_INDENTED_CHARS else arguments


def _as_entities(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(char)};" for char in match[0])


def _flat(line: str, body: str, page: Page | None) -> str:
    """Open WebUI 0.12 quotes reasoning line by line and cuts at `\\n` only: another line end would end the quote."""
    if page is not None:
        body = _HTML.sub(rf"\g<0>{BREAK}", _LINE_END.sub("\n", body))
    return f"{line}\n\n{body}" if body else line


def _line(title: str, page: Page | None) -> str:
    line = " ".join(title.split())[:_TITLE_CHARS]
    return _OWN_TAG.sub(f"<{BREAK}", line) if page is None else escaped_line(line, page)


def _arguments_body(call: Action) -> str:
    language, text = readable_arguments(call.arguments)
    return fenced(text, language) if text else ""


def _result_body(event: ToolResult) -> str:
    body = table_or_fence(event.content) if event.content.strip() else ""
    return f"{body}\n\n*… more was left out*" if event.truncated and not event.summary else body


def _result_title(event: ToolResult) -> str:
    if event.summary:
        return event.summary
    if event.is_error:
        return f"{event.tool} failed"
    first_line, _, rest = event.content.strip().partition("\n")
    is_short = first_line and not rest and len(first_line) <= _RESULT_CHARS
    return f"{event.tool}: {first_line}" if is_short else event.tool
