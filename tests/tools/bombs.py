"""Small statements that would take a machine's memory or time, in shapes that grow with a number."""

# ruff: noqa: S608 - the statements are made up here

from collections.abc import Iterator
from typing import Final

from aiostream_server.tools.sql.dialects import DialectName

_CROSS: Final = ", ".join(f"order_items i{number}" for number in range(4))


def _doubling(levels: int, first: str, step: str) -> str:
    """A chain of WITH queries; `step` reads `{0}`, the one before."""
    chain = [f"c0 AS ({first})", *(f"c{level} AS ({step.format(f'c{level - 1}')})" for level in range(1, levels + 1))]
    return f"WITH {', '.join(chain)} SELECT * FROM c{levels}"


def _nested(depth: int, call: str, inner: str) -> str:
    for _ in range(depth):
        inner = call.format(inner)
    return f"SELECT {inner}"


def bombs(dialect: DialectName) -> Iterator[tuple[str, str]]:
    """The name of each shape, and a statement."""
    glue = {"sqlite": "group_concat({0})", "postgres": "string_agg({0}, ',')"}[dialect]
    collect = {"sqlite": "json_group_array({0})", "postgres": "json_agg({0})"}[dialect]
    find = {"sqlite": "instr({0}, {1})", "postgres": "position({1} IN {0})"}[dialect]
    for size in range(6, 26, 2):
        yield "union doubling", _doubling(size, "SELECT 1 AS x", "SELECT * FROM {0} UNION ALL SELECT * FROM {0}")
        yield "join doubling", _doubling(size, "SELECT id AS x FROM regions", "SELECT a.x FROM {0} a, {0} b")
        yield "text doubling", _doubling(size, "SELECT name AS s FROM customers", "SELECT s || s AS s FROM {0}")
        yield "column doubling", _doubling(size, "SELECT 1 AS x, 2 AS y", "SELECT a.*, a.* FROM {0} a")
        yield "nested replace", _nested(size, "replace({0}, 'a', 'aaaaaaaaaa')", "'a'")
        yield "nested concat", _doubling(size, "SELECT 'abcdefgh' AS s", "SELECT s || ' ' || s AS s FROM {0}")
        yield (
            "subquery doubling",
            _doubling(size, "SELECT 1 AS x", "SELECT (SELECT max(x) FROM {0}) + (SELECT min(x) FROM {0}) AS x"),
        )
        yield "number doubling", _doubling(size, "SELECT 9999999999 AS x", "SELECT x * x AS x FROM {0}")
    for width in range(2, 7):
        tables = ", ".join(f"order_items i{number}" for number in range(width))
        yield "cross join", f"SELECT COUNT(*) FROM {tables} WHERE i0.amount > i1.amount"
        yield "gathered text", f"SELECT {glue.format('c.name')} FROM customers c, {tables}"
        yield "gathered JSON", f"SELECT {collect.format('c.name')} FROM customers c, {tables}"
        yield "sorted cross join", f"SELECT i0.id FROM {tables} ORDER BY i0.amount * i1.amount DESC, i1.id"
        yield "distinct cross join", f"SELECT DISTINCT i0.id * 100000 + i1.id FROM {tables}"
        yield "windows", f"SELECT SUM(i0.amount) OVER (ORDER BY i1.amount, i0.id) FROM {tables} ORDER BY 1 DESC"
        yield "grouped cross join", f"SELECT i0.id, i1.id, COUNT(*) FROM {tables} GROUP BY 1, 2 ORDER BY 3 DESC"
        gathered = f"SELECT {glue.format('i.id || c.name')} AS s FROM customers c, order_items i LIMIT 1"
        yield "long search", f"SELECT {find.format('a.s', 'b.s')} FROM ({gathered}) a, ({gathered}) b, {tables}"
        likes = " OR ".join(f"c.name LIKE '%a%{letter}%e%r%'" for letter in "bcdfghjklmnp"[: width * 2])
        yield "patterns", f"SELECT COUNT(*) FROM customers c, {tables} WHERE {likes}"
        deep = "SELECT COUNT(*) FROM order_items a WHERE a.amount > i0.amount"
        yield "correlated", f"SELECT SUM(({deep})) FROM {tables}"
    if dialect == "postgres":
        for width in range(9, 15):
            columns = ", ".join(f"id + {number}" for number in range(width))
            yield "cube", f"SELECT COUNT(*) FROM order_items GROUP BY CUBE ({columns})"
            yield "series", "SELECT COUNT(*) FROM " + ", ".join(f"generate_series(1, 10000) g{n}" for n in range(width))
            yield "power", f"SELECT power(9999999999.5, {10**width})"
            yield "regular expression", f"SELECT regexp_replace(name, '(a*)*b', '{'x' * 200}') FROM customers, {_CROSS}"
    else:
        for depth in range(12, 24, 2):
            yield "nested hex", _nested(depth, "hex({0})", "'abc'")
            yield "nested quote", _nested(depth, "quote({0} || {0})", "'abc'")
            yield "wide format", f"SELECT printf('%{10**depth}d', 1)"
