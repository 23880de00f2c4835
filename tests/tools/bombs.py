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
    for size in range(6, 26):
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
    for width in (2, 6):  # those between end as the last does, and most take all of their time
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
    yield from _of_postgres() if dialect == "postgres" else _of_sqlite()
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


def _of_postgres() -> Iterator[tuple[str, str]]:
    """What takes memory in PostgreSQL alone: values that gather rows, and functions that look at no cancel."""
    pairs = "order_items a, order_items b"
    gathered = "WITH g AS (SELECT string_agg(a.id::text || c.name, '') AS s FROM order_items a, customers c) SELECT "
    for call in (
        *("array_agg(a.id)", "array_agg(a)", "jsonb_agg(a)", "json_agg(a)", "json_object_agg(a.id, b.id)"),
        *("jsonb_object_agg(a.id, b)", "string_agg(a.id::text, ',' ORDER BY b.id)", "array_agg(DISTINCT a.id)"),
        *("jsonb_pretty(jsonb_agg(a))", "to_jsonb(array_agg(a))", "array_to_string(array_agg(a.id), ',')"),
        *("array_agg(a.id) FILTER (WHERE b.id > 3)", "array_cat(array_agg(a.id), array_agg(b.id))"),
        *("string_agg(repeat(a.id::text, 900), '')", "string_agg(lpad(a.id::text, 900), '')"),
        *("string_agg(('1e100000'::numeric)::text, '')", "array_agg(round(a.amount, 9000))"),
    ):
        yield "gathered rows", f"SELECT {call} FROM {pairs}"
    for call in ("array_agg(a.id)", "jsonb_agg(a)", "json_agg(a)", "string_agg(lpad(a.id::text, 900), '')"):
        window = f"SELECT {call} OVER (ORDER BY a.id) AS s FROM {pairs}"
        yield "gathered in a window", f"SELECT length(s::text) FROM ({window}) AS w ORDER BY 1"
    many = ", ".join(f"array_agg(a.id + {number})" for number in range(40))
    yield "many gathered values", f"SELECT {many} FROM {pairs}"
    yield "gathered by group", f"SELECT a.id, string_agg(b.id::text, ',') FROM {pairs} GROUP BY a.id ORDER BY 2"
    yield "gathered twice", gathered + "array_agg(s) FROM g, order_items"
    yield "gathered twice", gathered + "string_agg(s || s, '') FROM g, order_items"
    yield "gathered twice", gathered + "jsonb_agg(s) FROM g, orders"
    yield "array of a query", f"SELECT ARRAY(SELECT a.id FROM {pairs})"
    yield "array of a query", f"SELECT count(*) FROM regions WHERE id = ANY(ARRAY(SELECT a.id FROM {pairs}))"
    for reading in (
        *("length(replace(s, '1', '{long}'))", "length(regexp_replace(s, '.', '{long}', 'g'))", "repeat(s, 1000)"),
        *("array_length(regexp_split_to_array(s, ''), 1)", "cardinality(string_to_array(s, NULL))", "s || s || s || s"),
        *(
            "length(translate(s, '123', '456') || reverse(s) || upper(s) || md5(s))",
            "format('%1$s%1$s%1$s%1$s%1$s', s)",
        ),
        *("concat(s, s, s, s, s, s)", "to_tsvector(s)", "normalize(s)", "array_to_string(ARRAY[s, s], s)"),
    ):
        yield "grown from a gathered value", gathered + reading.format(long="x" * 500) + " FROM g"
    yield "split in FROM", gathered + "count(*) FROM g, regexp_split_to_table(g.s, '') AS x"
    yield "split in FROM", gathered + "count(*) FROM g, regexp_matches(g.s, '.', 'g') AS x"
    for levels in (8, 14, 20):
        sides = "".join(f", LATERAL (SELECT s{level}.s || s{level}.s AS s) AS s{level + 1}" for level in range(levels))
        yield "lateral doubling", f"SELECT s{levels}.s FROM (SELECT name AS s FROM customers) AS s0{sides}"
        numbers = sides.replace(" || ", " + ").replace("AS s)", "AS s)")
        yield "lateral doubling", f"SELECT s{levels}.s FROM (SELECT id AS s FROM customers) AS s0{numbers}"
    for start, step in (
        *(("1", "n + 1"), ("1.5::numeric", "n * n"), ("'x'", "n || n"), ("ARRAY[1]", "n || n")),
        *(("jsonb_build_array(1)", "n || n"), ("'x'", "repeat(n, 1000)"), ("1", "n + i.id")),
    ):
        many_rows = ", order_items i" if "i.id" in step else ""
        recursion = f"WITH RECURSIVE r(n) AS (SELECT {start} UNION ALL SELECT {step} FROM r{many_rows}) "
        yield "recursion", recursion + "SELECT count(*) FROM r"
        yield "recursion", recursion + "SELECT array_agg(n) FROM r"
    for number in (
        *("power(a.id::numeric, 900)", "exp(ln(a.id::numeric(1000, 900)))", "sqrt(power(9.9, 1000) * a.id)"),
        *("sum(factorial(3000))", "max((1e131000::numeric + a.id)::text)", "stddev(power(a.id::numeric, 300))"),
        *("factorial(32177)", "mod(1e131000::numeric, a.id + 7)", "'1e131000'::numeric * a.id"),
    ):
        yield "long numbers", f"SELECT {number} FROM {pairs} ORDER BY 1 DESC"
    for pattern in (
        "(.+)(.+)(.+)\\1\\2\\3x",
        "((a*)*)*b",
        "(x{1,100}){1,40}",
        "((((x{1,100}){1,100}){1,100}))",
        "(.)?" * 900,
    ):
        yield "regular expressions", f"SELECT count(*) FROM {pairs}, customers c WHERE c.name || a.id ~ '{pattern}'"
        yield "regular expressions", gathered + f"regexp_count(s, '{pattern}') FROM g"
    joined = " AND ".join(f"i{number}.order_id = i{number + 1}.order_id" for number in range(10))
    eleven = ", ".join(f"order_items i{number}" for number in range(11))
    yield "planning", f"SELECT count(*) FROM {eleven} WHERE {joined}"
    yield (
        "hash table with one key",
        (
            "SELECT count(*) FROM orders o FULL JOIN (SELECT a.id % 1 AS k, c.name FROM order_items a, order_items b, "
            "customers c) AS y ON o.id % 1 = y.k"
        ),
    )
    sorts = ", ".join(
        f"(SELECT id FROM order_items ORDER BY amount * {number} OFFSET 5) AS s{number}" for number in range(30)
    )
    yield "many sorts", f"SELECT count(*) FROM {sorts}"
    yield "series", "SELECT array_agg(x || y::text) FROM generate_series(1, 10000) AS x, generate_series(1, 9999) AS y"


def _of_sqlite() -> Iterator[tuple[str, str]]:
    """What takes long in one call of SQLite, or much memory in rows, JSON and recursion."""
    pairs = "order_items a, order_items b"
    gathered = (
        "(SELECT group_concat(id || name, '') AS s FROM (SELECT o.id, c.name FROM orders o, customers c LIMIT 40000))"
    )
    for call in (
        *(
            "group_concat(a.id)",
            "json_group_array(a.id)",
            "json_group_object(a.id, b.id)",
            "count(DISTINCT a.id * b.id)",
        ),
        *("group_concat(DISTINCT a.id || b.id)", "max(a.id || b.id)", "json_group_array(json_array(a.id, b.id))"),
        *("sum(length(hex(a.id || b.id)))", "total(a.amount * b.amount)", "group_concat(a.id, printf('%99d', b.id))"),
    ):
        yield "gathered rows", f"SELECT {call} FROM {pairs}, regions"
        if "DISTINCT" not in call:
            yield "gathered in a window", f"SELECT {call} OVER (ORDER BY a.id) FROM {pairs} ORDER BY 1"
    for reading in (
        *("length(replace(s, '1', '{long}'))", "length(hex(s))", "s || s || s", "quote(s)", "json_array(s, s)"),
        *("printf('%s%s%s%s', s, s, s, s)", "instr(s, s || 'x')", "s LIKE '%1%2%3%4%5%6%7%8%9%x%'", "trim(s, s)"),
        *("s GLOB '*1*2*3*4*5*6*7*x*'", "upper(s) || lower(s)", "json_quote(json_quote(s))", "replace(s, '1', s)"),
    ):
        yield (
            "grown from a gathered value",
            f"SELECT {reading.format(long='x' * 500)} FROM {gathered} AS g, order_items i ORDER BY 1",
        )
    for step in (
        "n + 1",
        "n || n",
        "n || 'yyyyyyyyyyyyyyyyyyyyyyyy'",
        "replace(n, 'x', 'xxxxxxxxxx')",
        "n + i.id",
        "hex(n)",
    ):
        many_rows = ", order_items i" if "i.id" in step else ""
        first = "1" if "+" in step else "'x'"
        recursion = f"WITH RECURSIVE r(n) AS (SELECT {first} UNION ALL SELECT {step} FROM r{many_rows}) "
        yield "recursion", recursion + "SELECT count(*), max(length(n)) FROM r"
        yield "recursion", recursion + "SELECT n FROM r ORDER BY n DESC"
    numbers = "(SELECT json_group_array(id) AS j FROM (SELECT a.id FROM order_items a, regions))"
    for reading in (
        *("SELECT count(*) FROM {0} AS g, json_each(g.j) AS x, json_each(g.j) AS y",),
        *("SELECT count(*) FROM {0} AS g, json_tree(g.j) AS x, order_items i, orders o",),
        *("SELECT json_extract(g.j, '$[9999]') FROM {0} AS g, order_items a, orders b ORDER BY 1",),
        *("SELECT json_set(g.j, '$[#]', i.id) FROM {0} AS g, order_items i ORDER BY 1",),
        *("SELECT json_patch(json_object('a', json(j)), json_object('b', json(j))) FROM {0} AS g, orders ORDER BY 1",),
        *("SELECT json_remove(g.j, '$[0]', '$[1]', '$[2]') FROM {0} AS g, order_items, regions ORDER BY 1",),
    ):
        yield "JSON", reading.format(numbers)
    for width in (45, 99):
        yield "wide format", f"SELECT printf('%{width}d%{width}.{width}f', a.id, b.amount) FROM {pairs} ORDER BY 1"
    yield "compound", " UNION ALL ".join([f"SELECT count(*) FROM {pairs}"] * 45)
    yield "compound", " UNION ".join([f"SELECT a.id * b.id FROM {pairs}"] * 10)
    yield "compound", f"SELECT a.id * 9999 + b.id FROM {pairs} EXCEPT SELECT a.id * 9999 - b.id FROM {pairs}"
    yield (
        "materialized",
        f"WITH m AS MATERIALIZED (SELECT a.id || b.id AS n FROM {pairs}) SELECT count(*) FROM m, m AS o",
    )
    yield "subqueries", f"SELECT count(*) FROM orders WHERE id NOT IN (SELECT a.id * b.id FROM {pairs}, regions)"
    for letters in ("abcdefgh", "aeiouaeiouaeiou"):
        likes = "%".join(letters)
        yield "patterns", f"SELECT count(*) FROM {gathered} AS g, {pairs} WHERE g.s || a.id LIKE '%{likes}%x%'"
        yield (
            "patterns",
            f"SELECT count(*) FROM {gathered} AS g, {pairs} WHERE g.s GLOB '*{likes.replace('%', '*')}*' || a.id",
        )
