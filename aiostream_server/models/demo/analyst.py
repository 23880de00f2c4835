"""The analyst: answers a question from rows that are there, in a sentence or two; never from anything else."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from aiostream_server.models.demo.conversation import Conversation
from aiostream_server.models.demo.speech import LABEL, Reply, gist, say
from aiostream_server.models.demo.table_text import Table, as_number, find_table
from aiostream_server.models.demo.word_list import word_list

_REFUSED: Final = re.compile(
    r"\b(?:blocked|refused|rejected|not approved|failed|could not|cannot|timed out|found nothing)\b", re.IGNORECASE
)
_ABOUT_DATA: Final = re.compile(r"\b(?:rows?|quer(?:y|ies)|sql|database|data)\b", re.IGNORECASE)
_LOW: Final = re.compile(
    r"\b(?:lowest|least|fewest|worst|smallest|minimum|min|bottom|cheapest|weakest)\b", re.IGNORECASE
)
_HIGH: Final = re.compile(
    r"\b(?:highest|most|best|top|largest|biggest|greatest|maximum|max|strongest|priciest|leading)\b", re.IGNORECASE
)
_CONTINUES: Final = re.compile(r"^(?:year|month|quarter|week|day|date)$", re.IGNORECASE)
_KINDS: Final = frozenset(word_list("region category country city segment department status channel team"))
_NAMES: Final = frozenset(word_list("name title label email"))
_SHOWN: Final = 5
_SMALL: Final = 3  # columns: a table of so few is about its numbers, a wider one about its rows


def answer(conversation: Conversation) -> Reply | None:
    """Says what the rows say, or why there are none; None where nobody spoke of rows."""
    texts = conversation.texts()
    if read := read_rows(conversation.question, texts):
        return say(read)
    # The question itself is no evidence: "why was it blocked?" blocks nothing.
    refused = next((text for text in texts[:-1] if _REFUSED.search(text)), None)
    if refused and _ABOUT_DATA.search(conversation.system):
        why = gist(refused.replace(LABEL, ""), words=40, characters=300)
        return say(f"The question could not be answered from the database. {why}")
    return None


def read_rows(question: str, texts: Sequence[str]) -> str | None:
    """An answer from the first of these texts that has a table; None where none has."""
    table = next((found for text in texts if (found := find_table(text))), None)
    return _read_table(question, table) if table else None


def _read_table(question: str, table: Table) -> str:
    if not table.rows:
        return "The query found no rows, so there is nothing to report."
    if len(table.rows) == 1:
        return _read_row(table)
    is_ranking = bool(_HIGH.search(question) or _LOW.search(question))
    is_list = _has_ids(table) or len(table.headers) > _SMALL
    if table.measure is None or not table.labels or (is_list and not is_ranking):
        return _read_list(table)
    if _CONTINUES.match(table.headers[table.labels[0]]) and not is_ranking:
        return _read_course(table, table.measure)
    return _read_ranking(table, table.measure, lowest_first=bool(_LOW.search(question)))


def _read_row(table: Table) -> str:
    row, measure = table.rows[0], table.measure
    if len(row) == 1:
        name = _spoken(table.headers[0])
        verb = "are" if name.endswith(("sales", "sold", "earnings")) else "is"
        return f"The {name} {verb} **{_number(table, 0, row[0])}**." if row[0] else f"There is no {name} to report."
    if table.labels and measure is not None and len(row) == 2:
        return (
            f"{_named(table, row)} has the {_spoken(table.headers[measure])} {_number(table, measure, row[measure])}."
        )
    facts = (f"{_spoken(name)} {_number(table, i, row[i])}" for i, name in enumerate(table.headers))
    return f"There is one row: {', '.join(facts)}."


def _read_ranking(table: Table, measure: int, *, lowest_first: bool) -> str:
    rows = [row for row in table.rows if as_number(row[measure]) is not None]
    rows.sort(key=lambda row: as_number(row[measure]) or Decimal(0), reverse=not lowest_first)
    extreme, other = ("lowest", "highest") if lowest_first else ("highest", "lowest")
    name, value = _spoken(table.headers[measure]), _number(table, measure, rows[0][measure])
    tied = [row for row in rows if as_number(row[measure]) == as_number(rows[0][measure])]
    if len(tied) > 1:
        shown = ", ".join(_name(table, row) for row in tied[1:_SHOWN])
        text = f"{_name(table, tied[0])} shares the {extreme} {name}, {value}, with {shown}."
    else:
        text = f"{_named(table, rows[0])} had the {extreme} {name}: {value}."
    behind = rows[len(tied) :]
    if behind:
        text += f" Next came {_pair(table, behind[0], measure)}"
        last = f"; the {other} of the {len(rows)} was {_pair(table, behind[-1], measure)}"
        text += f"{last if len(behind) > 1 else ''}."
    return text


def _read_course(table: Table, measure: int) -> str:
    first, last = table.rows[0], table.rows[-1]
    peak = max(table.rows, key=lambda row: as_number(row[measure]) or Decimal(0))
    return (
        f"The {_spoken(table.headers[measure])} went from {_pair(table, first, measure)} to "
        f"{_pair(table, last, measure)}; the highest of the {len(table.rows)} was {_pair(table, peak, measure)}."
    )


def _read_list(table: Table) -> str:
    named = [i for i, header in enumerate(table.headers) if header.lower() in _NAMES]
    shown = named[0] if named else 0 if _has_ids(table) or not table.labels else table.labels[0]
    names = [row[shown] for row in table.rows[:_SHOWN]]
    more = len(table.rows) - len(names)
    return f"The query gave {len(table.rows)} rows: {', '.join(names)}{f' and {more} more' if more else ''}."


def _has_ids(table: Table) -> bool:
    return any(header.lower() == "id" for header in table.headers)


def _named(table: Table, row: Sequence[str]) -> str:
    """ "The **West** region" where the header says what kind of thing it is; else the bare name."""
    kind = _spoken(table.headers[table.labels[0]])
    name = _name(table, row)
    return f"The {name} {kind}" if kind in _KINDS and len(table.labels) == 1 else name


def _name(table: Table, row: Sequence[str]) -> str:
    return f"**{', '.join(row[label] for label in table.labels)}**"


def _pair(table: Table, row: Sequence[str], measure: int) -> str:
    return f"{_name(table, row)} with {_number(table, measure, row[measure])}"


def _number(table: Table, column: int, cell: str) -> str:
    """Thousands apart; two decimals in a column that has decimals; text and ids as they are."""
    number = as_number(cell)
    numbers = table.numbers(column)
    if number is None or numbers is None or column != table.measure or "%" in cell:
        return cell
    has_decimals = any(one != one.to_integral_value() for one in numbers)
    return f"{number:,.2f}" if has_decimals else f"{number:,.0f}"


def _spoken(header: str) -> str:
    words = header.replace("_", " ").strip().lower()
    return f"number of {words.removesuffix(' count')}s" if words.endswith(" count") else words
