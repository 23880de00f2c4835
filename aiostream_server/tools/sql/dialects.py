"""SQLite's and PostgreSQL's dialects as the guard parses and writes them, and the scopes of a parsed statement.

sqlglot's own dialects translate functions into neutral nodes and back, so the output can differ from the input
(`to_char` formats, `date_part`, `CAST(x AS NUMERIC)`). The guard must not change a statement's meaning. Here every
function keeps its name, and only functions with a grammar of their own are parsed into nodes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeAlias

from sqlglot import TokenType, exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.sqlite import SQLite
from sqlglot.generator import Generator
from sqlglot.generators.postgres import PostgresGenerator
from sqlglot.generators.sqlite import SQLiteGenerator
from sqlglot.parser import Parser, build_json_extract, build_json_extract_scalar
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.parsers.sqlite import SQLiteParser

DialectName: TypeAlias = Literal["sqlite", "postgres"]

_POSTGRES_GRAMMAR: Final = ("CAST", "EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM")


class _QuietParser(Parser):
    # `f(payload -> 'items')` reads JSON; in other dialects the arrow makes a function of a parameter.
    LAMBDAS: ClassVar = {TokenType.FARROW: Parser.LAMBDAS[TokenType.FARROW]}

    def _warn_unsupported(self) -> None:
        """Keeps sqlglot from writing unsupported statements into the log."""

    def _parse_term(self, parse_mod: bool = True) -> exp.Expr | None:
        """`LIMIT 2 - n % 2` is arithmetic. In other dialects `%` ends a limit."""
        return super()._parse_term()


class PlainPostgres(Postgres):
    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        """The key as it is written. sqlglot itself reads `'a.b'` as a path of two keys."""
        return path

    class Parser(_QuietParser, PostgresParser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar = {name: PostgresParser.FUNCTION_PARSERS[name] for name in _POSTGRES_GRAMMAR}
        JSON_OPERATORS: ClassVar = {
            **PostgresParser.JSON_OPERATORS,
            TokenType.ARROW: build_json_extract,  # unlike Postgres' own, these two call `to_json_path`
            TokenType.DARROW: build_json_extract_scalar,
        }

    class Generator(PostgresGenerator):
        MULTI_ARG_DISTINCT = True  # string_agg(DISTINCT name, ', ')
        # sqlglot writes these as functions, which are other nodes when they are parsed again.
        TRANSFORMS: ClassVar = {
            **PostgresGenerator.TRANSFORMS,
            exp.Pow: lambda self, node: self.binary(node, "^"),
            exp.StartsWith: lambda self, node: self.binary(node, "^@"),
            exp.Sqrt: lambda self, node: f"|/ {self.sql(node, 'this')}",
            exp.Cbrt: lambda self, node: f"||/ {self.sql(node, 'this')}",
            exp.CurrentTime: lambda _self, _node: "CURRENT_TIME",
            # ARRAY[(SELECT 1)] is not ARRAY(SELECT 1), which is a call in this tree.
            exp.Array: lambda self, node: f"ARRAY[{self.expressions(node, flat=True)}]",
            exp.Trim: lambda self, node: _trim(self, node),
        }


def _trim(generator: Generator, trim: exp.Trim) -> str:
    """Keeps LEADING and TRAILING. sqlglot itself writes LTRIM and RTRIM."""
    before = " ".join(filter(None, (trim.args.get("position"), generator.sql(trim, "expression"))))
    text = generator.sql(trim, "this")
    return f"TRIM({before} FROM {text})" if before else f"TRIM({text})"


class PlainSQLite(SQLite):
    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        return path

    class Parser(_QuietParser, SQLiteParser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}

        def _parse_plain_cast(self) -> exp.Cast:
            """The type stays as it is written: its words decide what SQLite does, and any words are a type.

            sqlglot itself reads `CAST(x AS STRING)` as text, which for SQLite is a number.
            """
            this = self._parse_assignment()
            if not self._match(TokenType.ALIAS):
                self.raise_error("Expected AS after CAST")
            first, depth = self._curr, 0
            while self._curr and (depth or self._curr.text != ")"):
                depth += {"(": 1, ")": -1}.get(self._curr.text, 0)
                self._advance()
            written = " ".join(self._find_sql(first, self._prev).split())
            return self.expression(exp.Cast(this=this, to=exp.DataType(this=exp.DType.USERDEFINED, kind=written)))

        FUNCTION_PARSERS: ClassVar = {"CAST": _parse_plain_cast}

    class Generator(SQLiteGenerator):
        TRANSFORMS: ClassVar = {
            **SQLiteGenerator.TRANSFORMS,
            exp.Cast: lambda self, node: f"CAST({self.sql(node, 'this')} AS {node.to.args['kind']})",
        }


DIALECTS: Final[dict[DialectName, type[PlainPostgres | PlainSQLite]]] = {
    "postgres": PlainPostgres,
    "sqlite": PlainSQLite,
}
TITLES: Final[dict[DialectName, str]] = {"postgres": "PostgreSQL", "sqlite": "SQLite"}
_ASCII_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold_identifier(identifier: exp.Identifier, dialect: DialectName) -> str:
    """The name in the form in which the database compares it.

    SQLite always ignores ASCII case. PostgreSQL ignores it unless the name is quoted.
    """
    is_exact = dialect == "postgres" and identifier.args.get("quoted")
    return identifier.name if is_exact else identifier.name.translate(_ASCII_LOWER)


@dataclass(frozen=True, slots=True)
class Visit:
    """One node of the tree. `visible` holds the folded names of the CTEs that a table name here can refer to."""

    node: exp.Expr
    depth: int
    visible: frozenset[str]


def walk(root: exp.Expr, dialect: DialectName) -> Iterator[Visit]:
    """Every node, parents first, without recursion. A CTE sees the CTEs before it, and itself in a recursion."""
    stack = [Visit(root, 1, frozenset())]
    while stack:
        visit = stack.pop()
        yield visit
        stack.extend(_children(visit, dialect))


def _children(visit: Visit, dialect: DialectName) -> Iterator[Visit]:
    node, depth, visible = visit.node, visit.depth + 1, visit.visible
    if isinstance(node, exp.With):
        reads_itself = dialect == "sqlite" or bool(node.args.get("recursive"))
        for cte in node.expressions:
            name = cte_name(cte, dialect)
            yield Visit(cte, depth, visible | {name} if reads_itself else visible)
            visible |= {name}
        return
    with_ = node.args.get("with_")
    inside = visible.union(cte_name(cte, dialect) for cte in with_.expressions) if with_ else visible
    for child in node.iter_expressions():
        yield Visit(child, depth, visible if child is with_ else inside)


def cte_name(cte: exp.Expr, dialect: DialectName) -> str:
    return fold_identifier(cte.args["alias"].this, dialect)
