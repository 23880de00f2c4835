"""The two dialects, as the guard reads and writes them.

sqlglot's own dialects translate functions into neutral nodes and back, so what is written is not always what was read
(`to_char` formats, `date_part`, `CAST(x AS NUMERIC)`). The guard must not change a statement's meaning: here every
function keeps the name it was written with, and only functions with a grammar of their own are understood.
"""

from typing import Any, ClassVar, Final, Literal, TypeAlias

from sqlglot import TokenType, exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.sqlite import SQLite
from sqlglot.generators.sqlite import SQLiteGenerator
from sqlglot.parser import Parser, build_json_extract, build_json_extract_scalar
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.parsers.sqlite import SQLiteParser

DialectName: TypeAlias = Literal["sqlite", "postgres"]

_POSTGRES_GRAMMAR: Final = ("CAST", "EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM")


class _QuietParser(Parser):
    def _warn_unsupported(self) -> None:
        """The guard answers for what it blocks; sqlglot would write the statement into the log."""


class PlainPostgres(Postgres):
    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        """The key as it is written; sqlglot would read `'a.b'` as a path of two."""
        return path

    class Parser(_QuietParser, PostgresParser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar = {name: PostgresParser.FUNCTION_PARSERS[name] for name in _POSTGRES_GRAMMAR}
        JSON_OPERATORS: ClassVar = {
            **PostgresParser.JSON_OPERATORS,
            TokenType.ARROW: build_json_extract,  # these two ask `to_json_path`, Postgres' own do not
            TokenType.DARROW: build_json_extract_scalar,
        }


class PlainSQLite(SQLite):
    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        return path

    class Parser(_QuietParser, SQLiteParser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar = {"CAST": SQLiteParser.FUNCTION_PARSERS["CAST"]}

    class Generator(SQLiteGenerator):
        # CAST(x AS NUMERIC) keeps 5 an integer; sqlglot would write REAL.
        TYPE_MAPPING: ClassVar = {
            kind: name
            for kind, name in SQLiteGenerator.TYPE_MAPPING.items()
            if kind not in (exp.DType.DECIMAL, exp.DType.BOOLEAN)
        }


DIALECTS: Final[dict[DialectName, type[PlainPostgres | PlainSQLite]]] = {
    "postgres": PlainPostgres,
    "sqlite": PlainSQLite,
}
TITLES: Final[dict[DialectName, str]] = {"postgres": "PostgreSQL", "sqlite": "SQLite"}
