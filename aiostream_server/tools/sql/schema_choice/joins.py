"""The references between tables as a graph: what lies between two tables, and what belongs to one.

Tables to which everything refers (users, companies) connect everything and mean nothing, so a way through them is long.
"""

import heapq
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from aiostream_server.tools.sql.schema import Column, Table
from aiostream_server.tools.sql.schema_choice.references import references
from aiostream_server.tools.sql.schema_choice.words import is_name, root, split_name

_LONGEST_WAY: Final = 6.0
_LANGUAGE: Final = frozenset(map(root, ("language", "locale", "lang", "spras", "sprache")))


class Joins:
    """Tables are numbers, in their order."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._parents: Final[list[dict[int, None]]] = [{} for _ in tables]
        self._children: Final[list[dict[int, None]]] = [{} for _ in tables]
        self._keys: Final[list[list[tuple[frozenset[str], int]]]] = [[] for _ in tables]
        for here, there, column in references(tables):
            if here != there:
                self._parents[here][there] = self._children[there][here] = None
                self._keys[here].append((_roots(column), there))
        self._degrees: Final = [len({*up, *down}) for up, down in zip(self._parents, self._children, strict=True)]
        self._is_link: Final = [
            2 * len(keys) >= len(table.columns) for keys, table in zip(self._keys, tables, strict=True)
        ]
        self._lengths: Final = [1 + math.log2(max(1, degree / 4)) for degree in self._degrees]
        self._is_named: Final = [_has_name(table) for table in tables]
        self._is_translated: Final = [_has_language(table) for table in tables]
        self._names: Final = [_plain(table.name) for table in tables]

    def neighbours(self, number: int) -> Collection[int]:
        return self._parents[number].keys() | self._children[number].keys()

    def parents(self, number: int) -> Sequence[int]:
        """The tables to which it refers."""
        return [*self._parents[number]]

    def parents_by(self, number: int, words: Collection[str]) -> Iterator[int]:
        """The tables to which columns refer that are called by one of these roots: `salesperson_id` to users."""
        return (there for column, there in self._keys[number] if not column.isdisjoint(words))

    def facts(self, number: int) -> Sequence[int]:
        """The tables that refer to it, those with the most references first: what happens to it."""
        return sorted(self._children[number], key=lambda child: (-self._degrees[child], child))

    def degree(self, number: int) -> int:
        """How many tables it is joined with."""
        return self._degrees[number]

    def is_link(self, number: int) -> bool:
        """Whether it is there to connect others: half of its columns or more are references."""
        return self._is_link[number]

    def named_by(self, number: int) -> Sequence[int]:
        """The tables that hold the names of its rows, where it has none itself: `concept_name` of `concept`,

        or a table that refers to it and has a column for the language.
        """
        if self._is_named[number]:
            return []
        mine = self._names[number]
        return [
            each
            for each in self.neighbours(number)
            if self._is_named[each] and (self._names[each].startswith(mine) or self._is_translated[each])
        ]

    def links(self, numbers: Collection[int]) -> Iterator[int]:
        """The tables that refer to two of these and have no children: they connect these."""
        wanted = {*numbers}
        candidates = dict.fromkeys(child for number in numbers for child in self._children[number])
        for child in candidates:
            if not self._children[child] and len(wanted & self._parents[child].keys()) > 1:
                yield child

    def ways(self, start: int, goals: Collection[int]) -> Mapping[int, Sequence[int]]:
        """For each goal that can be reached, the tables on the shortest way, and on the shortest beside that one:

        a recording has artists by its credits, and by relationships that name their kind.
        """
        first = self._shortest(start, goals, frozenset())
        found = dict(first)
        for goal, between in first.items():
            if between:
                found[goal] = [*between, *self._shortest(start, [goal], frozenset(between)).get(goal, ())]
        return found

    def _shortest(self, start: int, goals: Collection[int], closed: Collection[int]) -> Mapping[int, Sequence[int]]:
        """For each goal that can be reached, the tables between; none of them `closed`."""
        wanted, found = {*goals} - {start}, {}
        distance, before = {start: 0.0}, {start: start}
        queue = [(0.0, start)]
        while queue and wanted:
            so_far, here = heapq.heappop(queue)
            if so_far > distance[here]:
                continue
            if here in wanted:
                wanted.discard(here)
                found[here] = _between(here, start, before)
            through = so_far + (self._lengths[here] if here != start else 1.0)
            for there in self.neighbours(here):
                if there not in closed and through <= _LONGEST_WAY and through < distance.get(there, math.inf):
                    distance[there], before[there] = through, here
                    heapq.heappush(queue, (through, there))
        return found


def _between(goal: int, start: int, before: Mapping[int, int]) -> Sequence[int]:
    way = []
    here = before[goal]
    while here != start:
        way.append(here)
        here = before[here]
    return way


def _roots(column: Column) -> frozenset[str]:
    return frozenset(map(root, split_name(f"{column.name} {column.comment}")))


def _plain(name: str) -> str:
    return re.sub(r"\W", "", name.rpartition(".")[2].lower())


def _has_language(table: Table) -> bool:
    return any(_LANGUAGE & _roots(column) for column in table.columns)


def _has_name(table: Table) -> bool:
    return any(not column.references and is_name(column.name) for column in table.columns)
