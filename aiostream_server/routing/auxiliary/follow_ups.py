"""What a user may say next, without a model: chat pages draw these as buttons.

* The replies that the last message asks for: its last paragraph begins with "Reply", and each reply is in bold.
* Otherwise questions about the rows of the last query, and the team's examples that were not asked yet.
"""

import re
from collections.abc import Sequence
from typing import Final

from aiostream_server.events import Action, ToolResult
from aiostream_server.routing.auxiliary.history import conversation, last_raw_answer, questions

_MOST: Final = 3
_MOST_REPLIES: Final = 5
_READ_CHARS: Final = 50_000
_REPLIES: Final = re.compile(r"^Reply\b[^\n]*\*\*[^\n]*", re.MULTILINE)
_BOLD: Final = re.compile(r"\*\*([^*\n]{1,60})\*\*")
# The block with the rows, or the file with the whole result: Open WebUI 0.6 takes blocks out of its prompts.
_ROWS: Final = re.compile(rf"(?:<summary>{ToolResult.sign} (?:query: )?|\.csv\]\([^()\s]+\) \()([0-9]{{1,9}}) rows\b")
_QUERY: Final = re.compile(rf"<summary>[{Action.sign}{ToolResult.sign}] query\b.*?</details>", re.DOTALL)
_GROUPED: Final = re.compile(r"\bGROUP\s+BY\b", re.IGNORECASE)
_MONTH: Final = re.compile(r"month|'%Y-%m'|%m", re.IGNORECASE)
_DATE: Final = re.compile(r"\b\w*(?:_date|date_|_at\b|timestamp)\w*|\bdate\b", re.IGNORECASE)
_PICTURE: Final = "!["
_BY_MONTH: Final = "And by month?"
_PLOT: Final = "Plot it"


def fixed_replies(prompt: str) -> list[str]:
    """The replies that the last message of the prompt's conversation asks for; none where it asks for no such reply."""
    said = conversation(prompt)
    if not said or said[-1].role != "ASSISTANT":
        return []
    paragraph = said[-1].text.rstrip().rpartition("\n\n")[2]
    asked = _REPLIES.search(paragraph)
    replies = list(dict.fromkeys(_BOLD.findall(asked[0]))) if asked else []
    return replies[:_MOST_REPLIES] if len(replies) > 1 else []


def follow_ups(prompt: str, examples: Sequence[str], *, can_draw: bool) -> list[str]:
    """At most three follow-up questions, none of which the user has asked."""
    asked = {_plain(question) for question in questions(prompt)}
    offered = (*_about_rows(last_raw_answer(prompt)[-_READ_CHARS:], can_draw=can_draw), *examples)
    return [text for text in dict.fromkeys(offered) if _plain(text) not in asked][:_MOST]


def _about_rows(answer: str, *, can_draw: bool) -> list[str]:
    found = _ROWS.search(answer)
    if found is None or int(found[1]) < 2:
        return []
    query = "".join(_QUERY.findall(answer))
    has_dates = _DATE.search(answer) is not None
    by_month = [_BY_MONTH] if _GROUPED.search(query) and has_dates and not _MONTH.search(query) else []
    return [*by_month, *([_PLOT] if can_draw and _PICTURE not in answer else [])]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
