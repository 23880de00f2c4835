"""Writes as much of a schema as fits into a budget of tokens.

The first tables are whole, unless they are very wide. The next ones have their keys and the columns that the question
means, and the names of others; the last ones little more than a key. Then come the names of further tables, and how
many there are where even the names do not fit.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import replace
from typing import Final, NamedTuple

from aiostream_server.text import clipped, one_line
from aiostream_server.tools.sql.schema import Column, Schema, Table
from aiostream_server.tools.sql.schema_choice.terms import Term
from aiostream_server.tools.sql.schema_choice.tokens import estimated_tokens
from aiostream_server.tools.sql.schema_choice.words import is_name, root, split_name

_NAMES_SHARE: Final = 0.08  # of the budget, for the names of tables that are not shown
_WIDE_SHARE: Final = 0.15  # what one table may take
_MOST_WHOLE: Final = 6
_MOST_DETAILED: Final = 12
_LEAST: Final = 40
_SURE: Final = 0.5
_EVERYWHERE_SHARE: Final = 0.5
_FEW_TABLES: Final = 10
_MOST_COUNTS: Final = 12
_FOR_COUNTS: Final = 100
_MOST_REMARKS: Final = 5
_REMARK_CHARS: Final = 60


class _Detail(NamedTuple):
    """How many tokens the columns of one table may take, and how many the names of further columns."""

    columns: int
    names: int


_SOME_DETAIL: Final = _Detail(80, 80)
_LITTLE_DETAIL: Final = _Detail(35, 8)


class Excerpts:
    """Tables are numbers, in their order. `hubs` are the tables to which most others refer."""

    def __init__(
        self,
        schema: Schema,
        tables: Sequence[Table],
        texts: Sequence[str],
        costs: Sequence[int],
        budget: int,
        hubs: Collection[int],
    ) -> None:
        self._schema: Final = schema
        self._tables: Final = tables
        self._texts: Final = texts
        self._costs: Final = costs
        self._budget: Final = budget
        self._hubs: Final = {tables[number].full_name for number in hubs}
        count = Counter(column.name for table in tables for column in table.columns)
        most = _EVERYWHERE_SHARE * len(tables)
        common = (name for name, each in count.items() if each > most and not is_name(name))
        self._everywhere: Final = sorted(common) if len(tables) > _FEW_TABLES else []

    def for_question(self, order: Sequence[int], terms: Sequence[Term], tool: str) -> str:
        """The first tables of this order. `tool` shows others."""
        head = self._schema.head()
        title = self._title(len(order), tool)
        budget = self._budget - estimated_tokens(f"{head}\n{title}") - _FOR_COUNTS
        names_cost = sum(_cost_of_name(table.full_name) for table in self._tables)
        chosen = self._fill(order, terms, budget - min(int(_NAMES_SHARE * self._budget), names_cost))
        left = budget - sum(estimated_tokens(text) + 1 for text in chosen.values())
        others = [self._tables[number].full_name for number in order if number not in chosen]
        return "\n".join([head, *chosen.values(), self._title(len(chosen), tool), *_listed(others, left)])

    def of_tables(self, numbers: Sequence[int], terms: Sequence[Term], unknown: Iterable[str], tool: str) -> str:
        """These tables, and remarks on what does not fit and what is `unknown`."""
        remarks = [f"-- no table is called or matches {clipped(one_line(each), _REMARK_CHARS)!r}" for each in unknown]
        budget = self._budget - estimated_tokens("\n".join(remarks[:_MOST_REMARKS]))
        chosen = self._fill(numbers, terms, budget)
        if len(chosen) < len(numbers):
            names_budget = int(_NAMES_SHARE * budget)
            chosen = self._fill(numbers, terms, budget - names_budget - _FOR_COUNTS)
            left_out = [self._tables[number].full_name for number in numbers if number not in chosen]
            names = _within(left_out, names_budget)
            title = f"-- Not shown, call {tool} for fewer at once: "
            return "\n".join(
                [*chosen.values(), *remarks[:_MOST_REMARKS], f"{title}{', '.join(names)}{_more(left_out, names)}"]
            )
        return "\n".join([*chosen.values(), *remarks[:_MOST_REMARKS]])

    def _fill(self, order: Sequence[int], terms: Sequence[Term], budget: int) -> dict[int, str]:
        """Describe as many tables as fit, in their order; the first ones in more detail."""
        words = {root(word) for term in terms for sure, words in term.meanings if sure >= _SURE for word in words}
        wide = int(_WIDE_SHARE * self._budget)
        details = (_Detail(wide, wide // 2), _SOME_DETAIL, _LITTLE_DETAIL)
        chosen: dict[int, str] = {}
        for place, number in enumerate(order):
            if budget < _LEAST:
                break
            text, cost = self._texts[number], self._costs[number]
            detail = details[(place >= _MOST_WHOLE) + (place >= _MOST_DETAILED)]
            if len(order) == 1:
                detail = _Detail(budget // 2, budget // 4) if cost > budget else _Detail(cost, 0)
            if cost > detail.columns:
                text = self._narrowed(self._tables[number], words, detail)
                cost = estimated_tokens(text) + 1
            if cost <= budget:
                chosen[number] = text
                budget -= cost
        return chosen

    def _narrowed(self, table: Table, words: Set[str], detail: "_Detail") -> str:
        """The table with its keys and the columns that the words mean first, and the other columns by name."""
        shown: set[str] = set()
        left = detail.columns
        for column in sorted(table.columns, key=lambda each: self._rank(each, table, words)):
            left -= estimated_tokens(
                f"  {column.name} {column.type} {column.references}, -- {column.comment} {column.values}\n"
            )
            if left < 0 and shown:
                break
            shown.add(column.name)
        names = [each.name for each in table.columns if each.name not in shown and each.name not in self._everywhere]
        listed = _within(names, detail.names)
        text = self._schema.describe_table(replace(table, columns=tuple(c for c in table.columns if c.name in shown)))
        return f"{text}\n-- {table.full_name} also has {', '.join(listed)}{_more(names, listed)}" if names else text

    def _rank(self, column: Column, table: Table, words: Set[str]) -> int:
        if column.name in table.primary_key:
            return 0
        if column.name in self._everywhere:
            return 4
        if not words.isdisjoint(_roots(column)):
            return 1
        return 2 if column.references is not None and column.references[0] not in self._hubs else 3

    def _title(self, shown: int, tool: str) -> str:
        about = f"-- Above: {shown} of {len(self._tables)} tables, chosen for the question. "
        also = f"\n-- Most tables also have {', '.join(self._everywhere[:_MOST_COUNTS])}" if self._everywhere else ""
        return f"{about}Call {tool} to read any of the others:{also}"


def _listed(others: Sequence[str], budget: int) -> Iterator[str]:
    """The names of tables, and how many there are of each kind where not all fit."""
    if names := _within(others, budget):
        yield f"-- {', '.join(sorted(names))}"
    if left := others[len(names) :]:
        groups = Counter(name.partition("_")[0] for name in left if "_" in name).most_common(_MOST_COUNTS)
        counted = ", ".join(f"{group}_* {count}" for group, count in groups if count > 1)
        yield f"-- and {len(left)} more{': ' if counted else ''}{counted}"


def _roots(column: Column) -> Set[str]:
    return {*map(root, split_name(" ".join((column.name, column.comment, *(column.values or column.samples)))))}


def _cost_of_name(name: str) -> int:
    return estimated_tokens(f"{name}, ")


def _within(names: Sequence[str], budget: int) -> list[str]:
    """The first of the names that fit into the budget."""
    fitting: list[str] = []
    for name in names:
        budget -= _cost_of_name(name)
        if budget < 0:
            break
        fitting.append(name)
    return fitting


def _more(names: Sequence[str], listed: Sequence[str]) -> str:
    left = len(names) - len(listed)
    return f"{' and ' if listed else ''}{left} more" if left else ""
