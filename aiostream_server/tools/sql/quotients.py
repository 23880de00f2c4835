"""Which columns of a result are quotients, averages and the like: they have many digits that mean nothing.

A column is one where its expression divides or calls one of `QUOTIENTS`, or reads such a column of a subquery or WITH
query. What the statement itself rounds (`round(x, 2)`, a cast to `numeric(10, 2)`) or compares is none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from aiostream_server.tools.sql.functions import QUOTIENTS

_ROUNDING: Final = frozenset(("round", "trunc", "to_char", "printf", "format"))
_VALUE_ONLY: Final = (exp.Filter, exp.Window, exp.WithinGroup)  # the rest of these says which rows count
_MOST_PASSES: Final = 5


@dataclass(frozen=True, slots=True)
class QuotientColumns:
    """`at` has an entry for each column of the result; None where a `*` stands for some. `names` are lower case."""

    at: tuple[bool, ...] | None = ()
    names: frozenset[str] = frozenset()

    def places(self, columns: Sequence[str], most: int) -> list[int | None]:
        """For each column the decimal places to which its numbers are rounded; None: they are exact."""
        at = self.at
        if at is None or len(at) != len(columns):
            at = tuple(column.lower() in self.names for column in columns)
        return [most if is_quotient else None for is_quotient in at]


NO_QUOTIENTS: Final = QuotientColumns()


def quotient_columns(root: exp.Expr) -> QuotientColumns:
    if not any(isinstance(node, exp.Div) or _calls(node, QUOTIENTS) for node in root.walk()):
        return NO_QUOTIENTS
    names = frozenset[str]()
    queries = list(root.find_all(exp.Select, exp.CTE, exp.Subquery))
    for _ in range(_MOST_PASSES):
        before = names
        for query in queries:
            names = names.union(_names(query, names))
        if names == before:
            break
    projected = _projections(root)
    if any(each.is_star for each in projected):
        return QuotientColumns(None, names)
    return QuotientColumns(tuple(_columns(root, names)), names)


def _names(query: exp.Expr, known: frozenset[str]) -> Iterator[str]:
    """The names of the quotients of one SELECT, also those that `AS name(column, ...)` gives them."""
    if isinstance(query, exp.Select):
        for each in query.expressions:
            if each.alias_or_name and _is_quotient(each, known):
                yield each.alias_or_name.lower()
        return
    alias = query.args.get("alias")
    columns = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    if columns and not any(each.is_star for each in _projections(query.this)):
        for column, is_quotient in zip(columns, _columns(query.this, known), strict=False):
            if is_quotient:
                yield column.name.lower()


def _projections(query: exp.Expr) -> Sequence[exp.Expr]:
    """The items of SELECT in all branches of UNION and the like."""
    if isinstance(query, exp.SetOperation):
        return [*_projections(query.left), *_projections(query.right)]
    if isinstance(query, exp.Subquery):
        return _projections(query.this)
    return query.expressions if isinstance(query, exp.Select) else ()


def _columns(query: exp.Expr, known: frozenset[str]) -> list[bool]:
    if isinstance(query, exp.SetOperation):
        sides = zip(_columns(query.left, known), _columns(query.right, known), strict=False)
        return [left or right for left, right in sides]
    if isinstance(query, exp.Subquery):
        return _columns(query.this, known)
    return [_is_quotient(each, known) for each in _projections(query)]


def _is_quotient(node: exp.Expr, known: frozenset[str]) -> bool:
    match node:
        case exp.Div():
            return True
        case exp.Column():
            return node.name.lower() in known
        case exp.Anonymous() if _calls(node, QUOTIENTS):
            return True
        case exp.Anonymous() if _calls(node, _ROUNDING):
            return False
        case exp.Cast(to=exp.DataType() as kind) if kind.expressions:
            return False
        case exp.Predicate() | exp.Exists():
            return False
        case exp.Select():
            return any(_is_quotient(each, known) for each in node.expressions)
        case exp.Case():
            values = [branch.args["true"] for branch in node.args["ifs"]] + [node.args.get("default")]
            return any(_is_quotient(each, known) for each in values if each is not None)
        case _ if isinstance(node, _VALUE_ONLY):
            return _is_quotient(node.this, known)
        case _:
            return any(_is_quotient(child, known) for child in node.iter_expressions())


def _calls(node: exp.Expr, functions: frozenset[str]) -> bool:
    return isinstance(node, exp.Anonymous) and isinstance(node.this, str) and node.this.lower() in functions
