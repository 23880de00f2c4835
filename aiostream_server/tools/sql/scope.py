"""A walk over a statement's tree that knows, at every node, how deep it is and which CTEs can be seen from there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from aiostream_server.tools.sql.dialects import DialectName

_ASCII_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold(name: str, *, quoted: bool, dialect: DialectName) -> str:
    """The name as the database compares it: SQLite ignores ASCII case always, PostgreSQL unless it is quoted."""
    return name if quoted and dialect == "postgres" else name.translate(_ASCII_LOWER)


def fold_identifier(identifier: exp.Identifier, dialect: DialectName) -> str:
    return fold(identifier.name, quoted=bool(identifier.args.get("quoted")), dialect=dialect)


@dataclass(frozen=True, slots=True)
class Visit:
    """One node; `visible` holds the folded names of the CTEs that a table name here may mean."""

    node: exp.Expr
    depth: int
    visible: frozenset[str]


def walk(root: exp.Expr, dialect: DialectName) -> Iterator[Visit]:
    """Every node, parents first, without recursion. A CTE sees the ones before it, never itself or a later one."""
    stack = [Visit(root, 1, frozenset())]
    while stack:
        visit = stack.pop()
        yield visit
        stack.extend(_children(visit, dialect))


def _children(visit: Visit, dialect: DialectName) -> Iterator[Visit]:
    node, depth, visible = visit.node, visit.depth + 1, visit.visible
    if isinstance(node, exp.With):
        for cte in node.expressions:
            yield Visit(cte, depth, visible)
            visible |= {cte_name(cte, dialect)}
        return
    with_ = node.args.get("with_")
    inside = visible.union(cte_name(cte, dialect) for cte in with_.expressions) if with_ else visible
    for child in node.iter_expressions():
        yield Visit(child, depth, visible if child is with_ else inside)


def cte_name(cte: exp.Expr, dialect: DialectName) -> str:
    return fold_identifier(cte.args["alias"].this, dialect)
