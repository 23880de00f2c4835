"""Tool calls and their results as Markdown: one complete `<details>` block each.

A block must reach Open WebUI in one delta: half of one shows as raw HTML. Whatever stands inside comes from a model or
a tool and must not break out: it is fenced by more backticks than it holds, or, where it is a table, escaped.
"""

import html
import json
import re
from typing import Final

from aiostream_server.events import Action, ToolResult

_BACKTICKS: Final = re.compile(r"`+")
_MARKUP: Final = re.compile(r"[<]|!(?=\[)")
_SQL_ARGUMENTS: Final = frozenset({"sql", "query"})
_SUMMARY_CHARS: Final = 60


def action_block(event: Action) -> str:
    language, text = _readable_arguments(event.arguments)
    return _details(f"⚡ {event.tool}", fenced(text, language) if text else "*no arguments*")


def result_block(event: ToolResult) -> str:
    body = _table_or_fence(event.content)
    if event.truncated and not event.summary:
        body += "\n\n*… more was left out*"
    return _details(f"📦 {_result_title(event)}", body)


def fenced(text: str, language: str = "") -> str:
    """A code block that its text cannot close."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _details(summary: str, body: str) -> str:
    return f"<details>\n<summary>{html.escape(summary)}</summary>\n\n{body}\n\n</details>"


def _result_title(event: ToolResult) -> str:
    if event.summary:
        return event.summary
    if event.is_error:
        return f"{event.tool} failed"
    first_line, _, rest = event.content.strip().partition("\n")
    is_short = first_line and not rest and len(first_line) <= _SUMMARY_CHARS
    return f"{event.tool}: {first_line}" if is_short else event.tool


def _table_or_fence(content: str) -> str:
    if content.startswith("|"):
        return _MARKUP.sub(lambda match: "&lt;" if match[0] == "<" else "\\!", content)
    return fenced(content)


def _readable_arguments(arguments: str) -> tuple[str, str]:
    """(language of the fence, text): a lone text argument stands for itself, others as indented JSON."""
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return "", arguments
    if not parsed:
        return "", ""
    if isinstance(parsed, dict) and len(parsed) == 1:
        ((name, value),) = parsed.items()
        if isinstance(value, str):
            return ("sql" if name in _SQL_ARGUMENTS else ""), value
    return "json", json.dumps(parsed, indent=2, ensure_ascii=False)
