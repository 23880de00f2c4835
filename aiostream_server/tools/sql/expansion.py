"""Estimates what a short statement can grow into: query blocks, columns, grouping sets, and the length of its values.

A chain of WITH queries that each read the one before twice doubles with every level, and 22 levels are 841 characters.
Neither a time limit nor a row limit bounds the memory that a database needs for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp

from aiostream_server.tools.sql.dialects import DialectName, cte_name, fold_identifier
from aiostream_server.tools.sql.value_size import MAX_DIGITS, NUMBER_DIGITS, TooLarge, called_chars, literal_chars

MAX_BLOCKS: Final = 500
MAX_COLUMNS: Final = 1_000
MAX_GROUPING_SETS: Final = 256
MAX_TERMS: Final = 5_000
MAX_VALUE_CHARS: Final = 4 * 1024**2
_COLUMN_CHARS: Final = 256
_TABLE_COLUMNS: Final = 50


@dataclass(slots=True)
class _Size:
    """The size of a query after every name in it was replaced by what it stands for.

    By column: `chars` is the length of the longest value, `terms` how many terms the column's expression has.
    """

    blocks: int = 1
    columns: int = 0
    chars: dict[str, float] = field(default_factory=dict)
    terms: dict[str, float] = field(default_factory=dict)

    @property
    def longest(self) -> float:
        return max(self.chars.values(), default=_COLUMN_CHARS)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a name can refer to here: WITH queries, and the columns of the queries around, and of those to the left."""

    ctes: Mapping[str, _Size] = field(default_factory=dict)
    chars: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, float] = field(default_factory=dict)

    def beside(self, size: _Size) -> "_Scope":
        return _Scope(self.ctes, _longer(self.chars, size.chars), _longer(self.terms, size.terms))


def check_expansion(root: exp.Expr, dialect: DialectName) -> None:
    """Raises `TooLarge`."""
    _Estimate(dialect).query(root, _Scope())


class _Estimate:
    def __init__(self, dialect: DialectName) -> None:
        self._dialect: Final[DialectName] = dialect
        self._inner: Final[dict[int, _Size]] = {}  # of the queries in expressions: each is estimated once

    def query(self, query: exp.Expr, scope: _Scope) -> _Size:
        with_ = query.args.get("with_")
        reads_itself = self._dialect == "sqlite" or bool(with_ and with_.args.get("recursive"))
        for cte in with_.expressions if with_ else ():
            name, within = cte_name(cte, self._dialect), scope
            if reads_itself and isinstance(cte.this, exp.SetOperation):
                first = self._renamed(self.query(cte.this.this, scope), cte)  # a recursion's first row
                within = replace(scope, ctes={**scope.ctes, name: first})
            scope = replace(scope, ctes={**scope.ctes, name: self._renamed(self.query(cte.this, within), cte)})
        if isinstance(query, exp.SetOperation):
            left, right = self.query(query.this, scope), self.query(query.expression, scope)
            size = _Size(
                left.blocks + right.blocks,
                max(left.columns, right.columns),
                _longer(left.chars, right.chars),
                _longer(left.terms, right.terms),
            )
        elif isinstance(query, exp.Subquery):
            size = self.query(query.this, scope)
        elif isinstance(query, exp.Select):
            size = self._select(query, scope)
        else:
            return _Size(1, _TABLE_COLUMNS)
        if size.blocks > MAX_BLOCKS:
            raise TooLarge(
                f"its WITH queries and subqueries grow to more than {MAX_BLOCKS} SELECTs: use each only once"
            )
        if size.columns > MAX_COLUMNS:
            raise TooLarge(f"it has more than {MAX_COLUMNS} columns: name the columns that are needed")
        return size

    def _select(self, select: exp.Select, scope: _Scope) -> _Size:
        first = select.args.get("from_")
        named = [first.this] if first else []
        named += [join.this for join in select.args.get("joins") or ()]
        columns, size, own = 0, _Size(), _Scope()
        for source in named:
            found = self._source(source, scope)
            columns, size.blocks = columns + found.columns, size.blocks + found.blocks
            scope, own = scope.beside(found), own.beside(found)
        for inner in _inner_queries(select):
            self._inner[id(inner)] = found = self.query(inner, scope)
            size.blocks += found.blocks
        for projection in select.expressions:
            if isinstance(projection, exp.Star) or isinstance(projection.this, exp.Star):
                size.columns += columns or _TABLE_COLUMNS
                size.chars, size.terms = _longer(size.chars, own.chars), _longer(size.terms, own.terms)
            else:
                size.columns += 1
                name = self._fold(projection.args["alias"]) if isinstance(projection, exp.Alias) else projection.name
                size.chars[name] = max(size.chars.get(name, 0), self._chars(projection, scope))
                size.terms[name] = max(size.terms.get(name, 0), self._terms(projection, scope.terms))
        clauses = [select.args.get(part) for part in ("where", "group", "having", "order")]
        clauses += [join.args.get("on") for join in select.args.get("joins") or ()]
        for clause in clauses:
            if clause is not None:
                self._chars(clause, scope)
        _check_grouping(select.args.get("group"))
        return size

    def _source(self, source: exp.Expr, scope: _Scope) -> _Size:
        match source:
            case exp.Table(this=exp.Identifier() as name) if self._is_cte(source, name, scope):
                size = self._renamed(scope.ctes[self._fold(name)], source)
            case exp.Subquery(this=exp.Table() as table):
                size = self._source(table, scope)
            case exp.Lateral() if isinstance(source.this, exp.Subquery):
                size = self._renamed(self.query(source.this, scope), source)
            case exp.Subquery():
                size = self._renamed(self.query(source, scope), source)
            case exp.Table(this=exp.Anonymous() as call) | exp.Lateral(this=exp.Expr() as call):
                self._chars(call, scope)
                size = _Size(0, 1)
            case exp.Unnest():
                self._chars(source, scope)
                size = _Size(0, 1)
            case _:
                size = _Size(0, _TABLE_COLUMNS)
        joined = [self._source(join.this, scope.beside(size)) for join in source.args.get("joins") or ()]
        for other in joined:
            size = _Size(
                size.blocks + other.blocks,
                size.columns + other.columns,
                _longer(size.chars, other.chars),
                _longer(size.terms, other.terms),
            )
        return size

    def _is_cte(self, source: exp.Table, name: exp.Identifier, scope: _Scope) -> bool:
        return self._fold(name) in scope.ctes and not source.args.get("db")

    def _renamed(self, size: _Size, aliased: exp.Expr) -> _Size:
        alias = aliased.args.get("alias")
        names = [self._fold(each) for each in (alias.args.get("columns") if alias else None) or ()]
        if not names:
            return size
        terms = max(size.terms.values(), default=1)
        return _Size(size.blocks, size.columns, dict.fromkeys(names, size.longest), dict.fromkeys(names, terms))

    def _chars(self, node: exp.Expr, scope: _Scope) -> float:
        """The length of the longest value that this expression can give. Raises `TooLarge`."""
        inner = [
            self._inner[id(child)].longest if id(child) in self._inner else self._chars(child, scope)
            for child in node.iter_expressions()
        ]
        match node:
            case exp.Column():
                return scope.chars.get(self._fold(node.this), _COLUMN_CHARS) if _is_named(node) else 0
            case exp.Literal():
                return literal_chars(node)
            case exp.DPipe() | exp.Array() | exp.Overlay():
                chars = sum(inner)
            case exp.Mul():
                chars = sum(
                    NUMBER_DIGITS if _is_named(factor) and self._fold(factor.this) not in scope.chars else digits
                    for factor, digits in zip(node.iter_expressions(), inner, strict=False)
                )
                _check(chars, MAX_DIGITS, "the numbers that it multiplies")
            case exp.Anonymous():
                chars = called_chars(str(node.this).lower(), node.expressions, inner)
            case _:
                chars = max(inner, default=0)
        _check(chars, MAX_VALUE_CHARS, "the text that it builds")
        return chars

    def _terms(self, projection: exp.Expr, known: Mapping[str, float]) -> float:
        """PostgreSQL writes a column's expression out wherever the column is read."""
        columns = [each for each in projection.find_all(exp.Column) if _is_named(each)]
        terms = 1 + sum(known.get(self._fold(column.this), 1) for column in columns)
        if terms > MAX_TERMS:
            raise TooLarge(f"an expression grows to more than {MAX_TERMS:,} terms: use each column only once")
        return terms

    def _fold(self, name: exp.Expr) -> str:
        return fold_identifier(name, self._dialect) if isinstance(name, exp.Identifier) else name.name


def _check(size: float, most: int, what: str) -> None:
    if size > most:
        raise TooLarge(f"{what} could become longer than {most:,} characters; build shorter values")


def _check_grouping(group: exp.Expr | None) -> None:
    sets = 1
    for part in ("cube", "rollup", "grouping_sets"):
        for each in (group.args.get(part) or ()) if group is not None else ():
            count = len(each.expressions) if isinstance(each, exp.Expr) else 1
            sets *= 2**count if part == "cube" else count + 1
    for each in group.expressions if group is not None else ():
        if isinstance(each, exp.Cube):
            sets *= 2 ** len(each.expressions)
        elif isinstance(each, exp.Rollup | exp.GroupingSets):
            sets *= len(each.expressions) + 1
    if sets > MAX_GROUPING_SETS:
        raise TooLarge(
            f"it groups in more than {MAX_GROUPING_SETS} ways: leave out some of CUBE, ROLLUP, GROUPING SETS"
        )


def _is_named(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier)


def _is_query(node: exp.Expr) -> bool:
    return isinstance(node, exp.Select | exp.SetOperation | exp.Subquery)


def _inner_queries(select: exp.Select) -> list[exp.Expr]:
    """The queries in its expressions; those in FROM are sources."""
    found: list[exp.Expr] = []
    stack = [
        child
        for part, value in select.args.items()
        if part not in ("from_", "joins", "with_")
        for child in (value if isinstance(value, list) else [value])
        if isinstance(child, exp.Expr)
    ]
    stack += [each for join in select.args.get("joins") or () if (each := join.args.get("on")) is not None]
    while stack:
        node = stack.pop()
        if _is_query(node):
            found.append(node)
        else:
            stack.extend(node.iter_expressions())
    return found


def _longer(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}
