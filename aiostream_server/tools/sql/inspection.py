"""Checks each node of a parsed statement against the allow-lists, and finds the tables that it reads.

A name counts as a table only where the database would read it as one: the queries of WITH that are in scope hide
nothing, because they may not have the name of a table.
"""

import re
from typing import Final

from sqlglot import exp

from aiostream_server.text import clipped
from aiostream_server.tools.sql.allow_list import POSTGRES_TYPE_NAMES, POSTGRES_TYPES, SQLITE_TYPE, SYNTAX
from aiostream_server.tools.sql.dialects import DIALECTS, DialectName, cte_name, fold_identifier, walk
from aiostream_server.tools.sql.functions import (
    CALLS_WITHOUT_PARENTHESES,
    FUNCTIONS,
    KEYWORDS,
    ROW_FUNCTIONS,
    SYSTEM_COLUMNS,
)
from aiostream_server.tools.sql.refusals import (
    NotAllowed,
    function_refused,
    keyword,
    node_refused,
    part_refused,
    shown,
)
from aiostream_server.tools.sql.schema import Schema, Table, listed_names
from aiostream_server.tools.sql.scopes import Found

MAX_NODES: Final = 8_000
MAX_DEPTH: Final = 100
_HOME_SCHEMA: Final[dict[DialectName, str]] = {"sqlite": "main", "postgres": "public"}
_SYSTEM_NAME: Final = re.compile(r"(sqlite|pg|pragma)_|information_schema$")
_BARE_NAME: Final = re.compile(r"[^\W\d]\w*( [^\W\d]\w*)?")  # sqlglot takes `$1` for a name, SQLite for a parameter
_WIDE_FORMAT: Final = re.compile(r"\*|\d{3}")
_QUERIES: Final = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)


class Inspector:
    """Checks statements for one database: its dialect, and its tables, views and types."""

    def __init__(self, schema: Schema) -> None:
        self.dialect: Final[DialectName] = schema.dialect
        self._schema: Final = schema
        self._types: Final = schema.types
        # A known name has its exact case, so it is folded like a quoted one.
        self._tables: Final[dict[tuple[str, str], Table]] = {}
        for table in schema.tables:
            for place in (table.schema or _HOME_SCHEMA[self.dialect], *([""] if table.is_home else [])):
                self._tables[place, _fold_known(table.name, self.dialect)] = table
        self._places: Final = frozenset(place for place, _ in self._tables)
        self._own_casts: Final = frozenset(_type_of(each) for each in schema.own.casts)

    def tables(self, root: exp.Expr) -> tuple[str, ...]:
        """Check every node and return the known tables that the statement reads, sorted. Raises `NotAllowed`."""
        if not isinstance(root, _QUERIES):
            what = shown(root, self.dialect) if isinstance(root, exp.Condition) else f"`{keyword(root, self.dialect)}`"
            raise NotAllowed(f"only SELECT may run, this is {what}: ask for rows with SELECT")
        tables: set[str] = set()
        for count, visit in enumerate(walk(root, self.dialect), start=1):
            if count > MAX_NODES:
                raise NotAllowed(
                    f"`{keyword(root, self.dialect)}` has more than {MAX_NODES:,} parts: ask for less at once"
                )
            if visit.depth > MAX_DEPTH:
                raise NotAllowed(
                    f"{shown(visit.node, self.dialect)} is nested too deeply, in more than {MAX_DEPTH} levels: "
                    "use fewer parentheses and subqueries, or IN (...) for many ORs"
                )
            self._check_syntax(visit.node)
            self._check_names(visit.node)
            if isinstance(visit.node, exp.Table):
                tables |= self._known_table(visit.node, visit.visible)
        return tuple(sorted(tables))

    def find(self, table: exp.Table) -> Found:
        """The columns of a table that passed the check."""
        schema = table.args.get("db")
        place = fold_identifier(schema, self.dialect) if schema is not None else ""
        name = fold_identifier(table.this, self.dialect)
        found = self._tables[place, name]
        columns = tuple(_fold_known(column.name, self.dialect) for column in found.columns)
        return (name, found.schema, self._schema.catalog), columns

    def _check_syntax(self, node: exp.Expr) -> None:
        parts = SYNTAX[self.dialect].get(type(node))
        if parts is None:
            raise node_refused(node, self.dialect)
        for part, value in node.args.items():
            if part not in parts and value:
                raise part_refused(part, value, node, self.dialect)
        if symbol := self._schema.own.operator(node):
            raise NotAllowed(
                f"{shown(node, self.dialect)} is not allowed: this database has its own operator {symbol}; "
                "use a function or CASE"
            )

    def _check_names(self, node: exp.Expr) -> None:
        match node:
            case exp.Anonymous():
                self._check_function(node)
            case exp.DataType():
                self._check_type(node)
            case exp.Dot() if not isinstance(node.parent, exp.DataType):
                self._check_field(node)
            case exp.CTE():
                self._check_cte(node)
            case exp.Lateral() | exp.Unnest():
                self._check_lateral(node)
            case exp.TableSample() if not all(isinstance(part, exp.Literal) for part in _amounts(node)):
                # PostgreSQL lets them read columns of the tables before it, which no scope here checks.
                raise NotAllowed(f"{shown(node, self.dialect)} is not allowed: TABLESAMPLE needs literal numbers")
            case exp.Var() | exp.Identifier() if not _is_plain(node):
                raise NotAllowed(
                    f"the name `{clipped(node.name, 60)}` must be in double quotes; write a value in '...'"
                )
            case exp.Column(this=exp.Identifier() as name):
                self._check_column(node, name)
            case exp.MatchAgainst() if not all(isinstance(each, exp.Expr) for each in node.expressions):
                raise NotAllowed(f"`@@{node.this.name}` is not allowed: write the value itself")

    def _check_lateral(self, node: exp.Lateral | exp.Unnest) -> None:
        if isinstance(node, exp.Unnest):
            if node.find(exp.Select, exp.SetOperation):
                raise self._over_a_subquery("unnest", node)
        elif isinstance(node.this, exp.Anonymous):
            self._check_row_function(node.this)
        elif not isinstance(node.this, exp.Subquery | exp.Unnest):
            raise NotAllowed(
                f"{shown(node, self.dialect)} is not allowed: write LATERAL (SELECT ...), or a function that reads "
                "an array or JSON"
            )

    def _check_column(self, column: exp.Column, name: exp.Identifier) -> None:
        if self.dialect == "sqlite":
            return
        folded = fold_identifier(name, self.dialect)
        if folded in CALLS_WITHOUT_PARENTHESES and not name.args.get("quoted"):
            raise NotAllowed(f'`{name.name}` is not allowed: it asks who is connected; write "{folded}" for a column')
        if folded in SYSTEM_COLUMNS and not any(
            folded == each.name for table in self._schema.tables for each in table.columns
        ):
            raise NotAllowed(f"`{name.name}` is not allowed: system columns are not open; use the table's own key")

    def _check_field(self, dot: exp.Dot) -> None:
        """`(home).city` reads a field, or calls a function, which only the database's types tell."""
        value, name = dot.this, dot.expression
        if isinstance(value, exp.Paren) and isinstance(value.this, exp.Column | exp.Bracket | exp.Dot | exp.Paren):
            if isinstance(name, exp.Star):
                return
            if isinstance(name, exp.Identifier) and fold_identifier(name, self.dialect) in self._schema.own.fields:
                return
        raise NotAllowed(f"{shown(dot, self.dialect)} is not allowed: write table.column, or a field as (column).field")

    def _check_function(self, call: exp.Anonymous) -> None:
        name = call.this.lower() if isinstance(call.this, str) else ""
        if name not in FUNCTIONS[self.dialect]:
            raise function_refused(name or call.name, self.dialect)
        if name in self._schema.own.functions and name not in KEYWORDS:
            raise NotAllowed(
                f"the function `{name}` is not allowed: this database has its own function of that name; "
                "compute it with other functions, operators or CASE"
            )
        if name in ("printf", "format") and not _is_narrow_format(call.expressions):
            raise NotAllowed(f"{shown(call, self.dialect)}: {name} needs a literal format with widths below 100")

    def _check_row_function(self, call: exp.Anonymous) -> None:
        """A function in FROM reads the elements of one value, or gives a series of bounded length."""
        name = call.this.lower() if isinstance(call.this, str) else ""
        if name not in FUNCTIONS[self.dialect]:
            raise function_refused(name or call.name, self.dialect)
        if self.dialect == "sqlite" and name not in ROW_FUNCTIONS:
            raise NotAllowed(f"rows cannot be read from `{name}`; they can from json_each: write it in SELECT")
        if name != "generate_series" and call.find(exp.Select, exp.SetOperation):
            raise self._over_a_subquery(name, call)

    def _over_a_subquery(self, name: str, node: exp.Expr) -> NotAllowed:
        return NotAllowed(
            f"{shown(node, self.dialect)}: {name} over a column is allowed; over a subquery it is not: "
            "put the table in FROM before it, and its column in the parentheses"
        )

    def _check_cte(self, cte: exp.CTE) -> None:
        if not isinstance(cte.this, _QUERIES):
            raise NotAllowed(f"a WITH query must be a SELECT, not {shown(cte.this, self.dialect)}: write one")
        name = cte_name(cte, self.dialect)
        if ("", name) in self._tables or _SYSTEM_NAME.match(name):
            raise NotAllowed(f"a WITH query cannot have a table's name (`{clipped(name, 60)}`): call it something else")

    def _check_type(self, kind: exp.DataType) -> None:
        own = kind.args.get("kind")
        if self.dialect == "sqlite":
            if not isinstance(own, str) or not SQLITE_TYPE.fullmatch(own):
                raise NotAllowed(
                    f"the type `{clipped(str(own), 60)}` is not allowed: write INTEGER, REAL, NUMERIC or TEXT"
                )
            return
        if kind.this is exp.DType.USERDEFINED and isinstance(own, exp.Expr):
            parts = [own.this, own.expression] if isinstance(own, exp.Dot) else [own]
            name = ".".join(fold_identifier(part, self.dialect) for part in parts if isinstance(part, exp.Identifier))
            is_known = name in self._types or name in POSTGRES_TYPE_NAMES
        else:
            name, is_known = "", kind.this in POSTGRES_TYPES
        text = shown(kind, self.dialect)
        if not is_known:
            raise NotAllowed(
                f"the type {text} is not allowed: use the types of the schema, text, numeric, date or timestamptz"
            )
        if (name or kind.this) in self._own_casts:
            raise NotAllowed(
                f"the type {text} is not allowed: this database has its own cast to it; leave the cast out"
            )

    def _known_table(self, table: exp.Table, visible: frozenset[str]) -> set[str]:
        if table.args.get("rows_from"):
            return set()
        if type(table.this) is exp.Anonymous:
            self._check_row_function(table.this)
            return set()
        if type(table.this) is not exp.Identifier:
            raise NotAllowed(
                f"rows can be read from tables only, not from {shown(table.this, self.dialect)}: "
                "name a table of the schema"
            )
        name, schema, catalog = (
            fold_identifier(part, self.dialect) if part is not None else ""
            for part in (table.this, table.args.get("db"), table.args.get("catalog"))
        )
        if not schema and name in visible:
            return set()
        if catalog and catalog != self._schema.catalog:
            here = self._schema.catalog or "without a name"
            raise NotAllowed(f"the database `{clipped(catalog, 60)}` is not this one, which is {here}: leave it out")
        found = self._tables.get((schema, name))
        if found is None or _SYSTEM_NAME.match(name):
            if schema and schema not in self._places:
                raise NotAllowed(
                    f"the schema `{clipped(schema, 60)}` is not open to questions: ask the tables that are described"
                )
            known = sorted({each.full_name for each in self._tables.values()})
            written = _written(table)
            raise NotAllowed(f"there is no table `{clipped(written, 60)}`; there are: {listed_names(known, written)}")
        return {found.full_name}


def _type_of(name: str) -> str | exp.DType:
    """The type as `DataType` holds it: sqlglot's word for PostgreSQL's own types, else the name."""
    try:
        kind = exp.DataType.build(name, dialect=DIALECTS["postgres"])
    except Exception:  # sqlglot has no grammar for some names of types
        return name
    return name if kind.this is exp.DType.USERDEFINED or not isinstance(kind.this, exp.DType) else kind.this


def _written(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)


def _amounts(sample: exp.TableSample) -> list[exp.Expr]:
    return [part for name in ("percent", "size", "seed") if (part := sample.args.get(name)) is not None]


def _fold_known(name: str, dialect: DialectName) -> str:
    return fold_identifier(exp.to_identifier(name, quoted=True), dialect)


def _is_plain(word: exp.Var | exp.Identifier) -> bool:
    """Whether the database, like sqlglot, parses this as one name, or as keywords (CURRENT ROW)."""
    return bool(word.args.get("quoted")) or _BARE_NAME.fullmatch(word.name) is not None


def _is_narrow_format(arguments: list[exp.Expr]) -> bool:
    return bool(arguments) and arguments[0].is_string and not _WIDE_FORMAT.search(arguments[0].name)
