"""Resolves the qualified columns of a parsed statement: `c.total` must be a column of what `c` names.

PostgreSQL calls a function where there is no such column: `c.secret_of` is `secret_of(c)`, with the row as its
argument, whatever the allow-list says. So every `alias.name` is looked up in the tables, subqueries and functions that
FROM brings into scope. https://www.postgresql.org/docs/current/xfunc-sql.html#XFUNC-SQL-COMPOSITE-FUNCTIONS
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from sqlglot import exp

from aiostream_server.text import clipped
from aiostream_server.tools.sql.dialects import DialectName, cte_name, fold_identifier

Columns: TypeAlias = tuple[str, ...]
"""Folded names, in order. A name that cannot be known is empty."""
Found: TypeAlias = tuple[tuple[str, str, str], Columns]
"""A known table: its folded name, schema and catalog, and its columns."""
_Sources: TypeAlias = dict[tuple[str, ...], Columns]
"""By alias, or by table, schema and catalog, as far as they are written."""

_MAX_LISTED_CHARS: Final = 200
_QUERIES: Final = (exp.Select, exp.SetOperation)


class UnknownColumn(Exception):
    """The message names the column, and the columns that there are."""


class Resolver:
    """Resolves one statement. `find` is called for each table that is no CTE."""

    def __init__(self, dialect: DialectName, find: Callable[[exp.Table], Found]) -> None:
        self._dialect: Final[DialectName] = dialect
        self._find = find

    def resolve(self, query: exp.Expr) -> Columns:
        """The columns of the statement's result. Raises `UnknownColumn`."""
        return self._query(query, (), {})

    def _query(self, query: exp.Expr, outer: Sequence[_Sources], ctes: Mapping[str, Columns]) -> Columns:
        with_ = query.args.get("with_")
        for cte in with_.expressions if with_ else ():
            name = cte_name(cte, self._dialect)
            within = ctes
            if cte.parent.args.get("recursive") and isinstance(cte.this, exp.SetOperation):
                within = {**ctes, name: self._renamed(self._query(cte.this.this, outer, ctes), cte)}
            ctes = {**ctes, name: self._renamed(self._query(cte.this, outer, within), cte)}
        match query:
            case exp.SetOperation():
                columns = self._query(query.this, outer, ctes)
                self._query(query.expression, outer, ctes)
                self._check(query, [{}, *outer], ctes, skipping=("this", "expression", "with_"))
                return columns
            case exp.Select():
                return self._select(query, outer, ctes)
            case exp.Subquery() if isinstance(query.this, exp.Expr):
                columns = self._query(query.this, outer, ctes)
                self._check(query, [{}, *outer], ctes, skipping=("this", "with_", "alias", "joins"))
                return columns
            case exp.Values():
                self._check(query, outer, ctes)
                width = len(query.expressions[0].expressions) if query.expressions else 0
                return tuple(f"column{number}" for number in range(1, width + 1))
        self._check(query, outer, ctes)
        return ()

    def _select(self, select: exp.Select, outer: Sequence[_Sources], ctes: Mapping[str, Columns]) -> Columns:
        sources: _Sources = {}
        scopes = [sources, *outer]
        first = select.args.get("from_")
        ordered = self._source(first.this, scopes, ctes) if first else ()
        ordered = self._joined(ordered, select.args.get("joins") or (), scopes, ctes)
        self._check(select, scopes, ctes, skipping=("from_", "joins", "with_"))
        return tuple(name for each in select.expressions for name in self._output(each, sources, ordered))

    def _joined(
        self, ordered: Columns, joins: Sequence[exp.Join], scopes: Sequence[_Sources], ctes: Mapping[str, Columns]
    ) -> Columns:
        for join in joins:
            right = self._source(join.this, scopes, ctes)
            self._check(join, scopes, ctes, skipping=("this",))
            merged = [self._fold(each) for each in join.args.get("using") or ()]
            if join.args.get("method") == "NATURAL":
                merged = [name for name in ordered if name in right]
            ordered = (
                *merged,
                *(name for name in ordered if name not in merged),
                *(name for name in right if name not in merged),
            )
        return ordered

    def _source(self, source: exp.Expr, scopes: Sequence[_Sources], ctes: Mapping[str, Columns]) -> Columns:
        """Bring what stands in FROM into the innermost scope, and return its columns."""
        match source:
            case exp.Table(this=exp.Identifier()):
                key: tuple[str, ...] = (self._fold(source.this),)
                is_cte = len(source.parts) == 1 and key[0] in ctes
                key, columns = (key, ctes[key[0]]) if is_cte else self._find(source)
                columns = self._renamed(columns, source)
                alias = source.args.get("alias")
                key = (self._fold(alias.this),) if alias and alias.this else key
                scopes[0].update({key[:length]: columns for length in range(1, len(key) + 1)})
            case exp.Subquery(this=exp.Table() as table):  # (a JOIN b USING (id)) AS j
                inside: _Sources = {} if source.alias else scopes[0]
                columns = self._source(table, [inside, *scopes[1:]], ctes)
                columns = self._added(self._renamed(columns, source), source, scopes)
            case exp.Lateral():
                columns = self._added(self._table_function_or_query(source.this, scopes, ctes, source), source, scopes)
            case exp.Subquery() | exp.Values():
                columns = self._added(self._renamed(self._query(source, scopes[1:], ctes), source), source, scopes)
            case _:
                columns = self._added(self._table_function_or_query(source, scopes, ctes, source), source, scopes)
        return self._joined(columns, source.args.get("joins") or (), scopes, ctes)

    def _table_function_or_query(
        self, source: exp.Expr, scopes: Sequence[_Sources], ctes: Mapping[str, Columns], aliased: exp.Expr
    ) -> Columns:
        if isinstance(source, exp.Subquery):  # LATERAL: the tables before it are in scope
            return self._renamed(self._query(source, scopes, ctes), aliased)
        self._check(source, scopes, ctes, skipping=("alias",))
        columns = _FUNCTION_COLUMNS.get(_function_name(source), ())
        alias = aliased.args.get("alias")
        if not columns and alias and alias.this:  # a function with one column: the alias names that, too
            columns = (self._fold(alias.this),)
        offset = source.args.get("offset")  # WITH ORDINALITY after unnest; sqlglot takes its name out of the alias
        if isinstance(offset, exp.Identifier):
            return (*self._renamed(columns, aliased), self._fold(offset))
        ordinality = ("ordinality",) if source.args.get("ordinality") or offset else ()
        return self._renamed((*columns, *ordinality), aliased)

    def _added(self, columns: Columns, source: exp.Expr, scopes: Sequence[_Sources]) -> Columns:
        alias = source.args.get("alias")
        if alias and alias.this:
            scopes[0][(self._fold(alias.this),)] = columns
        return columns

    def _renamed(self, columns: Columns, aliased: exp.Expr) -> Columns:
        alias = aliased.args.get("alias")
        names = tuple(self._fold(each) for each in (alias.args.get("columns") if alias else None) or ())
        return (*names, *columns[len(names) :])

    def _output(self, projection: exp.Expr, sources: _Sources, ordered: Columns) -> Columns:
        """The names of what one item of SELECT gives."""
        match projection:
            case exp.Star():
                return ordered
            case exp.Column(this=exp.Star()):
                return sources.get(self._path(projection), ())
            case exp.Alias():
                return (self._fold(projection.args["alias"]),)
            case exp.Column(this=exp.Identifier() as name):
                return (self._fold(name),)
            case exp.Cast() | exp.Paren():
                return self._output(projection.this, sources, ordered)
            case exp.Anonymous() if isinstance(projection.this, str):
                return (projection.this.lower(),)
        return ("",)

    def _check(
        self,
        node: exp.Expr,
        scopes: Sequence[_Sources],
        ctes: Mapping[str, Columns],
        *,
        skipping: Sequence[str] = (),
    ) -> None:
        """Check the columns below `node`, and the queries in it."""
        stack = [child for part, value in node.args.items() if part not in skipping for child in _nodes(value)]
        while stack:
            child = stack.pop()
            if isinstance(child, _QUERIES) or (isinstance(child, exp.Subquery) and isinstance(child.this, _QUERIES)):
                self._query(child, scopes, ctes)
            elif isinstance(child, exp.Column):
                self._column(child, scopes)
            else:
                stack.extend(child.iter_expressions())

    def _column(self, column: exp.Column, scopes: Sequence[_Sources]) -> None:
        path = self._path(column)
        if not path:
            return
        columns = next((scope[path] for scope in scopes if path in scope), None)
        written = clipped(".".join(part.name for part in column.parts), 60)
        shown = clipped(".".join(part.name for part in column.parts[:-1]), 60)
        if columns is None:
            raise UnknownColumn(f"`{written}`: nothing in FROM is called `{shown}`; name a table of FROM, or its alias")
        if isinstance(column.this, exp.Identifier) and self._fold(column.this) not in columns:
            known = clipped(", ".join(filter(None, columns)) or "none", _MAX_LISTED_CHARS)
            raise UnknownColumn(f"there is no column `{clipped(column.name, 60)}` in `{shown}`; there are: {known}")

    def _path(self, column: exp.Column) -> tuple[str, ...]:
        """The alias or table, its schema and its catalog, as far as they are written."""
        parts = (column.args.get("table"), column.args.get("db"), column.args.get("catalog"))
        return tuple(self._fold(part) for part in parts if part is not None)

    def _fold(self, name: exp.Expr) -> str:
        return fold_identifier(name, self._dialect) if isinstance(name, exp.Identifier) else name.name


_FUNCTION_COLUMNS: Final[Mapping[str, Columns]] = {
    **dict.fromkeys(("json_each", "jsonb_each", "json_each_text", "jsonb_each_text"), ("key", "value")),
    **dict.fromkeys(("json_array_elements", "jsonb_array_elements"), ("value",)),
    **dict.fromkeys(("json_array_elements_text", "jsonb_array_elements_text"), ("value",)),
}


def _function_name(source: exp.Expr) -> str:
    call = source.this if isinstance(source, exp.Table) else source
    return call.this.lower() if isinstance(call, exp.Anonymous) and isinstance(call.this, str) else ""


def _nodes(value: object) -> Iterator[exp.Expr]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, exp.Expr):
            yield each
