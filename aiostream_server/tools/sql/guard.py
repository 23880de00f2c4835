"""The guard approves a model's statement, in a safe form, or says why it is blocked.

It parses the text and checks the tree against the allow-lists of `allow_list`. One read-only query over known tables
passes. The guard writes the tree out again and parses that once more: where the two trees differ, the meaning has
changed, and the statement is blocked. The model's own text never runs. A statement that sqlglot cannot parse is
blocked.

The guard is the first protection. The backends' connections are read-only and limited independently of it.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, UnsupportedError

from aiostream_server.text import clipped, one_line
from aiostream_server.tools.sql.allow_list import (
    CALLS_WITHOUT_PARENTHESES,
    FUNCTIONS,
    QUOTIENTS,
    ROW_FUNCTIONS,
    SYNTAX,
    TYPES,
)
from aiostream_server.tools.sql.dialects import DIALECTS, TITLES, DialectName, cte_name, fold_identifier, walk
from aiostream_server.tools.sql.expansion import TooLarge, check_expansion
from aiostream_server.tools.sql.schema import Schema, Table, listed_names
from aiostream_server.tools.sql.scopes import Found, Resolver, UnknownColumn
from aiostream_server.tools.sql.series import series_length

MAX_CHARS: Final = 32_000
MAX_NODES: Final = 8_000
MAX_DEPTH: Final = 100
MAX_PADDING: Final = 1_000
MAX_SERIES: Final = 10_000
_MAX_SHOWN_CHARS: Final = 60
_CLAUSES: Final = {
    "locks": "FOR UPDATE",
    "into": "INTO",
    "recursive": "RECURSIVE",
    "pivots": "PIVOT",
    "rows_from": "ROWS FROM",
    "by_name": "BY NAME",
}
_HOME_SCHEMA: Final[dict[DialectName, str]] = {"sqlite": "main", "postgres": "public"}
_SYSTEM_NAME: Final = re.compile(r"(sqlite|pg|pragma)_|information_schema$")
_BARE_NAME: Final = re.compile(r"[^\W\d]\w*( [^\W\d]\w*)?")  # sqlglot takes `$1` for a name, SQLite for a parameter
_FENCED: Final = re.compile(r"\s*```(?:[a-z]+\s*\n)?(.*?)```\s*", re.DOTALL | re.IGNORECASE)
_WIDE_FORMAT: Final = re.compile(r"\*|\d{3}")


@dataclass(frozen=True, slots=True)
class Approved:
    """A statement that may run. `sql` is written by the guard from the parsed tree; it is never the model's text.

    `has_quotients`: it computes averages or the like, with many digits that mean nothing. `exact` names the columns
    of the result that are columns of a table all the same.
    """

    sql: str
    reason: str
    tables: tuple[str, ...]
    has_quotients: bool = False
    exact: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Blocked:
    """A statement that may not run. `reason` is one line from which a model can correct it."""

    reason: str


Verdict: TypeAlias = Approved | Blocked


class _NotAllowed(Exception):
    """The statement breaks a rule of the guard; the message says which."""


class Guard:
    """Checks statements for one database: its dialect, and its tables and views.

    A statement may name a table's schema, and the database itself before that.
    """

    def __init__(self, schema: Schema) -> None:
        self.dialect: Final[DialectName] = schema.dialect
        self._catalog: Final = schema.catalog
        self._types: Final = schema.types
        # A known name has its exact case, so it is folded like a quoted one.
        self._tables: Final[dict[tuple[str, str], Table]] = {}
        for table in schema.tables:
            for place in (table.schema or _HOME_SCHEMA[self.dialect], *([""] if table.is_home else [])):
                self._tables[place, _fold_known(table.name, self.dialect)] = table

    def check(self, sql: str) -> Verdict:
        """Approve one read-only query, or say in one line why it is blocked. Never raises."""
        if fenced := _FENCED.fullmatch(sql):
            sql = fenced[1]
        try:
            root = self._parse(sql)
            tables = self._inspect(root)
            check_expansion(root, self.dialect)
            if self.dialect == "postgres":
                Resolver(self.dialect, self._found).resolve(root)
            quotients = any(isinstance(node, exp.Div) or _is_quotient(node) for node in root.walk())
            return Approved(self._rewrite(root), _reason(tables), tables, quotients, _plain_columns(root))
        except (_NotAllowed, UnknownColumn, TooLarge) as refusal:
            return Blocked(str(refusal))
        except RecursionError:
            return Blocked("the statement is nested too deeply")
        except Exception:  # sqlglot fails in many ways on statements that it cannot parse
            return Blocked(f"not understood as {TITLES[self.dialect]}")

    # Parsing and writing

    def _parse(self, sql: str) -> exp.Expr:
        if len(sql) > MAX_CHARS:
            raise _NotAllowed(f"the statement is longer than {MAX_CHARS} characters")
        if not sql.isprintable() and re.search(r"[^\t\n\r\x20-\x7e\x80-\U0010ffff]|[\ud800-\udfff]", sql):
            raise _NotAllowed("the statement contains a control character or half of a character")
        statements = [node for node in self._read(sql) if node is not None and not isinstance(node, exp.Semicolon)]
        if len(statements) != 1:
            raise _NotAllowed(f"exactly one statement may run, this is {len(statements) or 'none'}")
        return self._pin(statements[0])

    def _read(self, sql: str) -> list[exp.Expr | None]:
        try:
            return list(sqlglot.parse(sql, read=DIALECTS[self.dialect]))
        except ParseError as exc:
            raise _NotAllowed(f"not understood as {TITLES[self.dialect]}: {_explain(exc)}") from exc

    def _pin(self, root: exp.Expr) -> exp.Expr:
        """Make implicit defaults explicit in the tree, so that two spellings of one query give the same tree."""
        for spec in root.find_all(exp.WindowSpec):
            if not spec.args.get("end"):
                spec.set("end", "CURRENT ROW")  # the default of both databases after ROWS n PRECEDING
        if self.dialect == "sqlite":
            for join in root.find_all(exp.Join):
                if join.kind == "CROSS":  # for SQLite only a hint on the join order; sqlglot reads a comma as CROSS
                    join.set("kind", None)
                    join.set("on", exp.true())
        return root

    def _rewrite(self, root: exp.Expr) -> str:
        written = self._write(root)
        if [node and self._pin(node) for node in self._read(written)] != [root]:
            raise _NotAllowed("the statement can be read in two ways: add parentheses, or use plainer functions")
        return written

    def _write(self, root: exp.Expr) -> str:
        try:
            return root.sql(dialect=DIALECTS[self.dialect], comments=False, unsupported_level=ErrorLevel.RAISE)
        except UnsupportedError as exc:
            raise _NotAllowed(f"not {TITLES[self.dialect]}: {exc}") from exc

    # Checking

    def _inspect(self, root: exp.Expr) -> tuple[str, ...]:
        """Check every node and return the known tables that the statement reads, sorted."""
        if not isinstance(root, exp.Select | exp.SetOperation | exp.Subquery):
            raise _NotAllowed(f"only SELECT may run, this is {_title(root)}")
        tables: set[str] = set()
        for count, visit in enumerate(walk(root, self.dialect), start=1):
            if count > MAX_NODES:
                raise _NotAllowed("the statement has too many parts")
            if visit.depth > MAX_DEPTH:
                raise _NotAllowed("the statement is nested too deeply")
            self._check_syntax(visit.node)
            self._check_names(visit.node)
            if isinstance(visit.node, exp.Table):
                tables |= self._known_table(visit.node, visit.visible)
        return tuple(sorted(tables))

    def _check_syntax(self, node: exp.Expr) -> None:
        parts = SYNTAX[self.dialect].get(type(node))
        if parts is None:
            raise _NotAllowed(f"{self._shown(node)} is not allowed")
        for part, value in node.args.items():
            if part not in parts and value:
                if part in _CLAUSES:
                    raise _NotAllowed(f"{_CLAUSES[part]} is not allowed")
                what = self._shown(value[0] if isinstance(value, list) else value)
                raise _NotAllowed(f"{what} is not allowed in {self._shown(node)}")

        if isinstance(node, exp.TableSample) and not all(isinstance(part, exp.Literal) for part in _amounts(node)):
            raise _NotAllowed("TABLESAMPLE needs literal numbers")

    def _shown(self, part: object) -> str:
        """What the model wrote: the keyword of a command, else the beginning of the text."""
        if isinstance(part, exp.Command):
            return str(part.this).upper()
        if not isinstance(part, exp.Expr):
            return str(part)
        try:
            text = part.sql(dialect=DIALECTS[self.dialect], comments=False, unsupported_level=ErrorLevel.IGNORE)
            return f"`{clipped(one_line(text), _MAX_SHOWN_CHARS)}`"
        except Exception:  # sqlglot cannot write every tree that it reads
            return _title(part)

    def _check_names(self, node: exp.Expr) -> None:
        match node:
            case exp.Anonymous():
                self._check_function(node)
            case exp.DataType():
                self._check_type(node)
            case exp.Dot() if not isinstance(node.parent, exp.DataType):  # (c).secret_of calls a function
                raise _NotAllowed(f"{self._shown(node)} is not allowed: write table.column")
            case exp.CTE():
                self._check_cte(node)
            case exp.Lateral() if type(node.this) not in (exp.Subquery, exp.Unnest, exp.Anonymous):
                raise _NotAllowed("LATERAL is allowed with a subquery, or a function that reads an array or JSON")
            case exp.Lateral(this=exp.Anonymous() as call):
                self._check_row_function(call)
            case exp.Unnest() if node.find(exp.Select, exp.SetOperation):
                raise _NotAllowed("unnest over a column is allowed; over a subquery it is not")
            case exp.Var() | exp.Identifier() if not _is_plain(node):
                raise _NotAllowed(f"the name {node.name} must be in double quotes")
            case exp.Column(this=exp.Identifier() as name) if self._is_call(name):
                raise _NotAllowed(f"{name.name} is not allowed: it asks who is connected")

    def _is_call(self, name: exp.Identifier) -> bool:
        if self.dialect == "sqlite" or name.args.get("quoted"):
            return False
        return name.name.lower() in CALLS_WITHOUT_PARENTHESES

    def _check_function(self, call: exp.Anonymous) -> None:
        name = call.this.lower() if isinstance(call.this, str) else ""
        if name not in FUNCTIONS[self.dialect]:
            raise _NotAllowed(f"the function {name or call.name} is not allowed")
        arguments = call.expressions
        if name == "generate_series" and not 0 <= series_length(arguments) <= MAX_SERIES:
            raise _NotAllowed(f"generate_series needs literal bounds of at most {MAX_SERIES:,} rows")
        if name in ("printf", "format") and not _is_narrow_format(arguments):
            raise _NotAllowed(f"{name} needs a literal format with widths below 100")
        if name in ("lpad", "rpad") and not _is_short_padding(arguments):
            raise _NotAllowed(f"{name} needs a literal length of at most {MAX_PADDING}")

    def _check_row_function(self, call: exp.Anonymous) -> None:
        """A function in FROM reads the elements of one value, or gives a series with literal bounds."""
        name = call.this.lower() if isinstance(call.this, str) else ""
        if name not in ROW_FUNCTIONS[self.dialect]:
            examples = {"sqlite": "json_each", "postgres": "unnest, jsonb_array_elements or jsonb_each"}
            raise _NotAllowed(f"rows cannot be read from {name or call.name}; they can from {examples[self.dialect]}")
        if call.find(exp.Select, exp.SetOperation):
            raise _NotAllowed(f"{name} over a column is allowed; over a subquery it is not")

    def _check_cte(self, cte: exp.CTE) -> None:
        name = cte_name(cte, self.dialect)
        if ("", name) in self._tables or _SYSTEM_NAME.match(name):
            raise _NotAllowed(f"a WITH query cannot have a table's name ({name}): call it something else")

    def _check_type(self, kind: exp.DataType) -> None:
        own = kind.args.get("kind")
        if kind.this is exp.DType.USERDEFINED and isinstance(own, exp.Expr):
            parts = [own.this, own.expression] if isinstance(own, exp.Dot) else [own]
            name = ".".join(fold_identifier(part, self.dialect) for part in parts if isinstance(part, exp.Identifier))
            if name in self._types:
                return
        if kind.this not in TYPES[self.dialect]:
            raise _NotAllowed(f"the type {kind.sql(dialect=DIALECTS[self.dialect])} is not allowed")

    def _known_table(self, table: exp.Table, visible: frozenset[str]) -> set[str]:
        if type(table.this) is exp.Anonymous:
            self._check_row_function(table.this)
            return set()
        if type(table.this) is not exp.Identifier:
            raise _NotAllowed(f"rows can be read from tables only, not from {self._shown(table.this)}")
        name, schema, catalog = (
            fold_identifier(part, self.dialect) if part is not None else ""
            for part in (table.this, table.args.get("db"), table.args.get("catalog"))
        )
        if not schema and name in visible:
            return set()
        if catalog and catalog != self._catalog:
            raise _NotAllowed(f"the database {catalog} is not this one, which is {self._catalog or 'without a name'}")
        found = self._tables.get((schema, name))
        if found is None or _SYSTEM_NAME.match(name):
            if schema and schema not in {place for place, _ in self._tables}:
                raise _NotAllowed(f"the schema {schema} is not open to questions")
            known = sorted({table.full_name for table in self._tables.values()})
            written = _written(table)
            raise _NotAllowed(f"there is no table {written}; there are: {listed_names(known, written)}")
        return {found.full_name}

    def _found(self, table: exp.Table) -> Found:
        schema = table.args.get("db")
        place = fold_identifier(schema, self.dialect) if schema is not None else ""
        name = fold_identifier(table.this, self.dialect)
        found = self._tables[place, name]
        return (name, found.schema, self._catalog), tuple(column.name for column in found.columns)


def _written(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)


def _amounts(sample: exp.TableSample) -> list[exp.Expr]:
    """Its numbers. PostgreSQL lets them read columns of the tables before it, which no scope here checks."""
    return [part for name in ("percent", "size", "seed") if (part := sample.args.get(name)) is not None]


def _is_quotient(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and isinstance(node.this, str) and node.this.lower() in QUOTIENTS


def _plain_columns(root: exp.Expr) -> frozenset[str]:
    """The names of the result's columns that are columns of a table."""
    if not isinstance(root, exp.Select) or root.find(exp.Subquery, exp.CTE):
        return frozenset()
    return frozenset(each.alias_or_name for each in root.expressions if isinstance(each.unalias(), exp.Column))


def _fold_known(name: str, dialect: DialectName) -> str:
    return fold_identifier(exp.to_identifier(name, quoted=True), dialect)


def _is_plain(word: exp.Var | exp.Identifier) -> bool:
    """Whether the database, like sqlglot, parses this as one name, or as keywords (CURRENT ROW)."""
    return bool(word.args.get("quoted")) or _BARE_NAME.fullmatch(word.name) is not None


def _reason(tables: tuple[str, ...]) -> str:
    return f"one read-only SELECT on {', '.join(tables)}" if tables else "one read-only SELECT without tables"


def _title(node: exp.Expr) -> str:
    """The node's name for people: the command's keyword, the function's name, or the node type."""
    if isinstance(node, exp.Command):
        return str(node.this).upper()
    return node.name if isinstance(node, exp.Anonymous) else node.key.upper()


def _explain(error: ParseError) -> str:
    """sqlglot's message without the coloured excerpt that it adds."""
    first = error.errors[0]
    return f"{first['description']} at line {first['line']}, column {first['col']}".replace("\n", " ")


def _is_narrow_format(arguments: list[exp.Expr]) -> bool:
    return bool(arguments) and arguments[0].is_string and not _WIDE_FORMAT.search(arguments[0].name)


def _is_short_padding(arguments: list[exp.Expr]) -> bool:
    return len(arguments) > 1 and arguments[1].is_int and arguments[1].to_py() <= MAX_PADDING
