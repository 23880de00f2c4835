"""Tool calls and their results as Markdown: one complete `<details>` block each.

A block must reach Open WebUI in one delta: half of one shows as raw HTML. Whatever stands inside comes from a model or
a tool and must not break out: it is fenced by more backticks than it holds, or, where it is a table, escaped. A page
that looks for `</details` in the raw text would find it in a fence, too, so no such tag stands in a block but its own.

A block grows by little over what it is made of, so that who bounds that bounds the block.
"""

import html
import json
import re
from typing import Final

from aiostream_server.events import Action, ToolResult

_BACKTICKS: Final = re.compile(r"`+")
_OWN_TAG: Final = re.compile(r"<(?=/?(?:details|summary))", re.IGNORECASE)
_MARKUP: Final = re.compile(r"<|!(?=\\?\[)")
_TABLE: Final = re.compile(r"\|[^\r\n]*\n\|[ :|-]+(?:\n\|[^\r\n]*)*")
_SQL_ARGUMENTS: Final = frozenset({"sql", "query"})
_RESULT_CHARS: Final = 60
_SUMMARY_CHARS: Final = 200
_MOST_INDENTED_CHARS: Final = 4_000
_ZERO_WIDTH_SPACE: Final = "\u200b"


def action_block(event: Action) -> str:
    language, text = _readable_arguments(event.arguments)
    return _details(f"⚡ {event.tool}", fenced(text, language) if text else "")


def result_block(event: ToolResult) -> str:
    body = _table_or_fence(event.content)
    if event.truncated and not event.summary:
        body += "\n\n*… more was left out*"
    return _details(f"📦 {_result_title(event)}", body)


def fenced(text: str, language: str = "") -> str:
    """A code block that its text cannot close."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{_OWN_TAG.sub(f'<{_ZERO_WIDTH_SPACE}', text)}\n{fence}"


def _details(summary: str, body: str) -> str:
    title = " ".join(summary.split())[:_SUMMARY_CHARS]  # a blank line would end the HTML
    return f"<details>\n<summary>{html.escape(title)}</summary>\n\n{body}\n\n</details>"


def _result_title(event: ToolResult) -> str:
    if event.summary:
        return event.summary
    if event.is_error:
        return f"{event.tool} failed"
    first_line, _, rest = event.content.strip().partition("\n")
    is_short = first_line and not rest and len(first_line) <= _RESULT_CHARS
    return f"{event.tool}: {first_line}" if is_short else event.tool


def _table_or_fence(content: str) -> str:
    """A table's markup is escaped by entities: a backslash might itself stand behind one."""
    table = content.strip()
    if _TABLE.fullmatch(table):
        return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", table)
    return fenced(content)


def _readable_arguments(arguments: str) -> tuple[str, str]:
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
