"""Which tables to join to get from one to another: the shortest way along foreign keys."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from aiostream_server.models.demo.sql.schema_text import Column, Schema

_TO_MANY: Final = 10  # a step that multiplies rows is taken only where no other way leads there


@dataclass(frozen=True, slots=True)
class Join:
    """`table` is added by the condition `left = right`. `to_many`: one row may become several."""

    source: str
    table: str
    left: Column
    right: Column

    @property
    def to_many(self) -> bool:
        return self.right.references is not None and self.right.references[0] == self.source


def join_tables(schema: Schema, base: str, wanted: Iterable[str]) -> list[Join] | None:
    """The joins that bring every wanted table to `base`, in order; None where no way leads to one."""
    joins: list[Join] = []
    for table in wanted:
        way = _shortest_way(schema, {base, *(join.table for join in joins)}, table)
        if way is None:
            return None
        joins += way
    return joins


def _shortest_way(schema: Schema, reached: set[str], goal: str) -> list[Join] | None:
    """Dijkstra's search from all the tables that are there already."""
    heap: list[tuple[int, int, str, list[Join]]] = [(0, i, table, []) for i, table in enumerate(sorted(reached))]
    pushed, done = len(heap), set[str]()
    while heap:
        cost, _, table, way = heapq.heappop(heap)
        if table == goal:
            return way
        if table in done:
            continue
        done.add(table)
        for step in _steps(schema, table):
            pushed += 1
            heapq.heappush(heap, (cost + (_TO_MANY if step.to_many else 1), pushed, step.table, [*way, step]))
    return None


def _steps(schema: Schema, table: str) -> Iterator[Join]:
    for column in schema.columns:
        if column.references is None or column.references[0] == column.table:
            continue
        target = _target(schema, column.references)
        if column.table == table:
            yield Join(table, target.table, column, target)
        elif target.table == table:
            yield Join(table, column.table, target, column)


def _target(schema: Schema, reference: tuple[str, str]) -> Column:
    return next(one for one in schema.columns if (one.table, one.name) == reference)
