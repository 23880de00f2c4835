"""Bounds that hold while a statement runs: rows of a recursion, rows of a series, lengths of a repeated text.

How many rows `WITH RECURSIVE` gives cannot be read from the statement. PostgreSQL computes a recursion row by row as
its reader asks for rows. So the guard writes each place that reads it as a subquery that lets `MAX_RECURSION_ROWS`
rows pass and raises an error for the next one. The result is never cut silently, and a reader that takes ten rows of
an endless recursion gets them. A row that grows beyond `MAX_ROW_BYTES` is an error as well.
https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-RECURSIVE

PostgreSQL has no function that raises an error, but a cast of a text to boolean or integer that is none does, and the
error shows the text. SQLite needs no such bounds: its statements run in a process with a memory limit.
"""

from collections.abc import Iterator
from typing import Final

import sqlglot
from sqlglot import exp

from aiostream_server.tools.sql.dialects import DIALECTS, cte_name, fold_identifier
from aiostream_server.tools.sql.functions import VOLATILE
from aiostream_server.tools.sql.refusals import NotAllowed, shown
from aiostream_server.tools.sql.series import series_length

MAX_RECURSION_ROWS: Final = 20_000
MAX_ROW_BYTES: Final = 8_192
MAX_SERIES: Final = 10_000
MAX_PADDING: Final = 1_000
TOO_MANY_ROWS: Final = f"the recursion gives more than {MAX_RECURSION_ROWS:,} rows"
TOO_LONG_ROW: Final = f"a row of the recursion is longer than {MAX_ROW_BYTES:,} bytes"
TOO_LONG_SERIES: Final = f"generate_series gives more than {MAX_SERIES:,} rows"
TOO_LONG_TEXT: Final = f"repeat, lpad and rpad give at most {MAX_PADDING:,} characters"
BOUNDS: Final = frozenset((TOO_MANY_ROWS, TOO_LONG_ROW, TOO_LONG_SERIES, TOO_LONG_TEXT))

# Text that depends on the row is not computed while the statement is planned, which would raise the error always.
_BOUNDED: Final = f"""
SELECT * FROM (
  (SELECT * FROM placeholder AS r
   WHERE CASE WHEN pg_column_size(r.*) > {MAX_ROW_BYTES}
              THEN CAST('{TOO_LONG_ROW}' || left(CAST(r.* AS text), 0) AS boolean) ELSE TRUE END
   LIMIT {MAX_RECURSION_ROWS})
  UNION ALL
  (SELECT * FROM (SELECT * FROM placeholder OFFSET {MAX_RECURSION_ROWS} LIMIT 1) AS r
   WHERE CAST('{TOO_MANY_ROWS}' || left(CAST(r.* AS text), 0) AS boolean) OFFSET 0)
) AS bounded
"""  # noqa: S608


def is_recursive(cte: exp.Expr) -> bool:
    """Whether it reads itself, where its WITH lets it."""
    name = cte_name(cte, "postgres")
    return bool(cte.parent and cte.parent.args.get("recursive")) and any(_reads(cte.this, name))


def bind(root: exp.Expr) -> None:
    """Write the bounds of PostgreSQL into the tree. Raises `NotAllowed` where none can be written."""
    for cte in list(root.find_all(exp.CTE)):
        if is_recursive(cte):
            for table in _readers(cte):
                _bound_rows(table)
    for call in [*root.find_all(exp.Anonymous)]:
        name = str(call.this).lower()
        if name == "generate_series":
            _bound_series(call)
        elif name in ("repeat", "lpad", "rpad") and len(call.expressions) > 1:
            _bound_length(call)
        elif name == "factorial" and not (call.expressions and call.expressions[0].is_int):
            raise NotAllowed(f"{shown(call, 'postgres')}: factorial needs a whole number, such as factorial(5)")


def _reads(node: exp.Expr, name: str) -> Iterator[exp.Table]:
    for table in node.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or table.args.get("db"):
            continue
        if fold_identifier(table.this, "postgres") == name and not _is_shadowed(table, name, node):
            yield table


def _is_shadowed(table: exp.Expr, name: str, top: exp.Expr) -> bool:
    """Whether another WITH between the table and `top` has a query of that name."""
    node = table.parent
    while node is not None and node is not top.parent:
        with_ = node.args.get("with_")
        if with_ is not None and any(cte_name(each, "postgres") == name for each in with_.expressions):
            return True
        node = node.parent
    return False


def _readers(cte: exp.CTE) -> list[exp.Table]:
    """The places outside of the recursion that read it: in the query that it belongs to, and in the CTEs beside it."""
    with_ = cte.parent
    query = with_.parent if with_ is not None else None
    if query is None or with_ is None:
        return []
    name = cte_name(cte, "postgres")
    places = [each.this for each in with_.expressions if each is not cte]
    places += [child for child in query.iter_expressions() if child is not with_]
    return [table for place in places for table in _reads(place, name)]


def _bound_rows(table: exp.Table) -> None:
    bounded = sqlglot.parse_one(_BOUNDED, read=DIALECTS["postgres"]).args["from_"].this
    for placeholder in list(bounded.find_all(exp.Table)):
        placeholder.this.replace(table.this.copy())
    alias = table.args.get("alias")
    bounded.set("alias", alias.copy() if alias else exp.TableAlias(this=table.this.copy()))
    bounded.set("joins", [join.copy() for join in table.args.get("joins") or ()])
    table.replace(bounded)


def _bound_series(call: exp.Anonymous) -> None:
    """The bounds are literals, or the step is an error where the series would be too long."""
    arguments = call.expressions
    length = series_length(arguments)
    if 0 <= length <= MAX_SERIES:
        return
    first, last = arguments[:2] if len(arguments) > 1 else (None, None)
    step = arguments[2] if len(arguments) > 2 else exp.Literal.number(1)
    if length != float("inf") or first is None or last is None or len(arguments) > 3 or not _is_stable(call):
        raise NotAllowed(f"{shown(call, 'postgres')} could give more than {MAX_SERIES:,} rows: make it shorter")
    is_time = (
        step.is_string
        or isinstance(step, exp.Interval)
        or (isinstance(step, exp.Cast) and step.to.this is exp.DType.INTERVAL)
    )
    if not is_time and (first.is_string or last.is_string):
        raise NotAllowed(f"{shown(call, 'postgres')}: give the bounds types, and the step as INTERVAL '1 day'")
    step, first, last = (_typed(each, is_time) for each in (step, first, last))
    sql = DIALECTS["postgres"]
    texts = [f"({each.sql(sql, normalize_functions=False, comments=False)})" for each in (first, last, step)]
    start, end, by = texts
    checked = sqlglot.parse_one(
        f"CASE WHEN ({by} > {by} * 0 AND {end} > {start} + {by} * {MAX_SERIES}) "
        f"OR ({by} < {by} * 0 AND {end} < {start} + {by} * {MAX_SERIES}) "
        f"THEN {by} * CAST('{TOO_LONG_SERIES}' || left(CAST({end} AS text), 0) AS int) ELSE {by} END",
        read=sql,
    )
    call.set("expressions", [*arguments[:2], checked])


def _typed(bound: exp.Expr, is_time: bool) -> exp.Expr:
    if not bound.is_string or not is_time:
        return bound
    looks_like_a_time = bound.name[:1].isdigit() and "-" in bound.name
    kind = exp.DType.TIMESTAMPTZ if looks_like_a_time else exp.DType.INTERVAL
    return exp.Cast(this=bound.copy(), to=exp.DataType(this=kind))


def _bound_length(call: exp.Anonymous) -> None:
    """The second argument is a small number, or an error where it is too large."""
    length = call.expressions[1]
    if length.is_int and length.to_py() <= MAX_PADDING:
        return
    if length.is_int or not _is_stable(length):
        raise NotAllowed(f"{shown(call, 'postgres')}: the length may be at most {MAX_PADDING:,}")
    text = f"({length.sql(DIALECTS['postgres'], normalize_functions=False, comments=False)})"
    checked = sqlglot.parse_one(
        f"CASE WHEN {text} > {MAX_PADDING} THEN CAST('{TOO_LONG_TEXT}' || left(CAST({text} AS text), 0) AS int) "
        f"ELSE {text} END",
        read=DIALECTS["postgres"],
    )
    call.set("expressions", [call.expressions[0], checked, *call.expressions[2:]])


def _is_stable(node: exp.Expr) -> bool:
    """Whether it gives the same value twice, and holds no other call that is written out several times."""
    inner = [str(each.this).lower() for each in node.find_all(exp.Anonymous) if each is not node]
    return not VOLATILE.intersection(inner) and not {"generate_series", "repeat", "lpad", "rpad"}.intersection(inner)
