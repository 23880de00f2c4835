"""The guard approves a model's statement, in a safe form, or says why it is blocked.

It parses the text and checks the tree against the allow-lists of `allow_list` and `functions`. One read-only query
over known tables passes. The guard writes the tree out again, with the bounds of `bounds`, and parses that once more:
where the two trees differ, the meaning has changed, and the statement is blocked. The model's own text never runs. A
statement that sqlglot cannot parse is blocked.

The guard is the first protection. The backends' connections are read-only and limited independently of it.
"""

import re
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import ErrorLevel, ParseError, TokenError, UnsupportedError

from aiostream_server.text import clipped, one_line
from aiostream_server.tools.sql.bounds import bind
from aiostream_server.tools.sql.dialects import DIALECTS, TITLES, DialectName
from aiostream_server.tools.sql.expansion import check_expansion
from aiostream_server.tools.sql.inspection import Inspector
from aiostream_server.tools.sql.quotients import NO_QUOTIENTS, QuotientColumns, quotient_columns
from aiostream_server.tools.sql.refusals import NotAllowed, keyword, not_understood, shown
from aiostream_server.tools.sql.schema import Schema
from aiostream_server.tools.sql.scopes import Resolver, UnknownColumn
from aiostream_server.tools.sql.value_size import TooLarge

MAX_CHARS: Final = 32_000
_FENCED: Final = re.compile(r"\s*```(?:[a-z]+\s*\n)?(.*?)```\s*", re.DOTALL | re.IGNORECASE)
_UNPRINTABLE: Final = re.compile(r"[^\t\n\r\x20-\x7e\x80-\U0010ffff]|[\ud800-\udfff]")
# sqlglot and PostgreSQL agree on these escapes of E'...'; on \x41 or \101 they could differ.
_ESCAPED: Final = re.compile(r"e'([^'\\]|''|\\[bfnrt'\\])*'", re.IGNORECASE)
_LINE_CHARS: Final = 80
_SHOWN_LINE_CHARS: Final = 100
_SPACES: Final = str.maketrans("\n\t", "  ")
_START_CHARS: Final = 40


@dataclass(frozen=True, slots=True)
class Approved:
    """A statement that may run. `sql` is written by the guard from the parsed tree; it is never the model's text.

    `quotients` are the columns of the result in which most digits mean nothing. `shown` is for people: the model's text
    where it reads well and is the same statement, else `sql`.
    """

    sql: str
    reason: str
    tables: tuple[str, ...]
    quotients: QuotientColumns = NO_QUOTIENTS
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A statement that may not run. `reason` is one line from which a model can correct it."""

    reason: str


Verdict: TypeAlias = Approved | Blocked


class Guard:
    """Checks statements for one database: its dialect, and its tables and views.

    A statement may name a table's schema, and the database itself before that.
    """

    def __init__(self, schema: Schema) -> None:
        self.dialect: Final[DialectName] = schema.dialect
        self._inspector: Final = Inspector(schema)

    def check(self, sql: str) -> Verdict:
        """Approve one read-only query, or say in one line why it is blocked. Never raises."""
        if fenced := _FENCED.fullmatch(sql):
            sql = fenced[1]
        start = _start(sql)
        try:
            return self._approved(self._parse(sql), sql.strip().removesuffix(";").rstrip())
        except (NotAllowed, UnknownColumn) as refusal:
            return Blocked(str(refusal))
        except TooLarge as refusal:
            return Blocked(f"`{start}` would take too much: {refusal}")
        except RecursionError:
            return Blocked(f"`{start}` is nested too deeply: use fewer parentheses and subqueries")
        except Exception:  # sqlglot fails in many ways on statements that it cannot parse
            return Blocked(f"`{start}` is not understood as {TITLES[self.dialect]}: write it in plainer SQL")

    def _approved(self, root: exp.Expr, drafted: str) -> Approved:
        read = root.copy() if _reads_well(drafted) else None
        tables = self._inspector.tables(root)
        check_expansion(root, self.dialect)
        quotients = quotient_columns(root)
        if self.dialect == "postgres":
            Resolver(self.dialect, self._inspector.find).resolve(root)
            bind(root)
        written = self._rewrite(root)
        return Approved(written, _reason(tables), tables, quotients, drafted if read == root else written)

    def _parse(self, sql: str) -> exp.Expr:
        if len(sql) > MAX_CHARS:
            raise NotAllowed(
                f"the statement `{_start(sql)}` is longer than {MAX_CHARS} characters: leave out what is not needed"
            )
        if not sql.isprintable() and (bad := _UNPRINTABLE.search(sql)):
            raise NotAllowed(
                f"the statement contains a control character or half of a character, `U+{ord(bad[0]):04X}`, after "
                f"`{clipped(one_line(sql[: bad.start()][-_START_CHARS:].encode(errors='replace').decode()), 60)}`: "
                "leave it out"
            )
        statements = [node for node in self._read(sql) if node is not None and not isinstance(node, exp.Semicolon)]
        if not statements:
            raise NotAllowed(f"exactly one statement may run, `{_start(sql)}` is none: write one SELECT")
        if len(statements) > 1:
            second = keyword(statements[1], self.dialect)
            raise NotAllowed(
                f"exactly one statement may run, this is {len(statements)}: leave out the second, `{second}`"
            )
        return self._pin(statements[0])

    def _read(self, sql: str) -> list[exp.Expr | None]:
        dialect = DIALECTS[self.dialect]
        try:
            if self.dialect == "postgres" and "\\" in sql:
                for token in dialect().tokenize(sql):
                    text = sql[token.start : token.end + 1]
                    if token.token_type is TokenType.BYTE_STRING and not _ESCAPED.fullmatch(text):
                        raise NotAllowed(
                            f"`{clipped(one_line(text), 60)}` has an escape that is not allowed: write '...'"
                        )
            return list(sqlglot.parse(sql, read=dialect))
        except ParseError as exc:
            raise not_understood(exc, sql, self.dialect) from exc
        except TokenError as exc:
            raise NotAllowed(
                f"not understood as {TITLES[self.dialect]}: a quote or comment is not closed in "
                f"`{clipped(one_line(sql)[-_START_CHARS:], 60)}`; write '' for a quote in a text"
            ) from exc

    def _pin(self, root: exp.Expr) -> exp.Expr:
        """Make implicit defaults explicit in the tree, so that two spellings of one query give the same tree."""
        for node in list(root.walk()):
            match node:
                case exp.WindowSpec() if not node.args.get("end"):
                    node.set("end", "CURRENT ROW")  # the default of both databases after ROWS n PRECEDING
                case exp.Any() if isinstance(node.this, exp.Select | exp.SetOperation):  # from SOME
                    node.set("this", exp.Subquery(this=node.this))
                case exp.NullSafeEQ() | exp.NullSafeNEQ() if isinstance(node.expression, exp.Null):
                    is_null = exp.Is(this=node.this, expression=exp.Null())
                    node.replace(is_null if isinstance(node, exp.NullSafeEQ) else exp.Not(this=is_null))
                case exp.ParseJSON():  # json '{}'
                    node.replace(exp.Cast(this=node.this, to=exp.DataType(this=exp.DType.JSON)))
                case exp.RawString():  # $$it's$$
                    node.replace(exp.Literal.string(node.name))
                case exp.Join() if self.dialect == "sqlite" and node.kind == "CROSS":
                    node.set("kind", None)  # for SQLite only a hint on the join order; sqlglot reads a comma as CROSS
                    node.set("on", exp.true())
        return root

    def _rewrite(self, root: exp.Expr) -> str:
        written = self._write(root)
        if [node and self._pin(node) for node in self._read(written)] != [root]:
            raise NotAllowed(
                f"{shown(root, self.dialect)} can be read in two ways: add parentheses, or use plainer functions"
            )
        return written

    def _write(self, root: exp.Expr) -> str:
        """The statement; a long one in lines: people read it before they approve it. Indentation at most doubles it."""
        write = partial(
            root.sql,
            DIALECTS[self.dialect],
            comments=False,
            unsupported_level=ErrorLevel.RAISE,
            normalize_functions=False,
        )
        try:
            line = write()
            lines = write(pretty=True) if len(line) > _LINE_CHARS else line
            return lines if len(lines) <= 2 * len(line) else line
        except UnsupportedError as exc:
            why = one_line(str(exc)).rstrip(".")
            raise NotAllowed(
                f"{shown(root, self.dialect)} is not {TITLES[self.dialect]} ({why}): write it in plainer SQL"
            ) from exc


def _reads_well(sql: str) -> bool:
    """Whether people can be shown the model's own text: nothing in it can hide, or say what is not run."""
    if "--" in sql or "/*" in sql or not sql.translate(_SPACES).isprintable():
        return False
    return all(len(line) <= _SHOWN_LINE_CHARS for line in sql.split("\n"))


def _start(sql: str) -> str:
    """Its first words. A statement can have a hundred million characters, so only the first are looked at."""
    return clipped(one_line(sql[: 2 * _START_CHARS]).replace("`", "'"), _START_CHARS)


def _reason(tables: tuple[str, ...]) -> str:
    return f"one read-only SELECT on {', '.join(tables)}" if tables else "one read-only SELECT without tables"
