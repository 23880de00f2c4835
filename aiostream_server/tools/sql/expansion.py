"""Estimates what a short statement can grow into: query blocks, columns, grouping sets, and the length of its values.

A chain of WITH queries that each read the one before twice doubles with every level, and 22 levels are 841 characters.
Neither a time limit nor a row limit bounds the memory that a database needs for that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from aiostream_server.tools.sql.dialects import DialectName, cte_name, fold_identifier

MAX_BLOCKS: Final = 500
MAX_COLUMNS: Final = 1_000
MAX_GROUPING_SETS: Final = 256
MAX_TERMS: Final = 5_000
MAX_VALUE_CHARS: Final = 4 * 1024**2
MAX_DIGITS: Final = 4_000
_COLUMN_CHARS: Final = 256
_TABLE_COLUMNS: Final = 50
_NUMBER_DIGITS: Final = 20
_GROWING: Final = frozenset(("array_append", "array_cat", "concat", "concat_ws", "format", "printf", "array_prepend"))
_DOUBLING: Final = frozenset(
    ("hex", "quote", "encode", "to_json", "to_jsonb", "json_quote", "row_to_json", "json_array")
)


class TooLarge(Exception):
    """The message says what would become too large, and what to do."""


@dataclass(slots=True)
class _Size:
    """Of a query after every name in it was replaced by what it stands for.

    By column: `chars` is the length of the longest value, `terms` how many terms the column's expression has.
    """

    blocks: int = 1
    columns: int = 0
    chars: dict[str, float] = field(default_factory=dict)
    terms: dict[str, float] = field(default_factory=dict)

    @property
    def longest(self) -> float:
        return max(self.chars.values(), default=_COLUMN_CHARS)


def check_expansion(root: exp.Expr, dialect: DialectName) -> None:
    """Raises `TooLarge`."""
    _Estimate(dialect).query(root, {})


class _Estimate:
    def __init__(self, dialect: DialectName) -> None:
        self._dialect: Final[DialectName] = dialect

    def query(self, query: exp.Expr, ctes: Mapping[str, _Size]) -> _Size:
        with_ = query.args.get("with_")
        reads_itself = self._dialect == "sqlite" or bool(with_ and with_.args.get("recursive"))
        for cte in with_.expressions if with_ else ():
            name = cte_name(cte, self._dialect)
            within = ctes
            if reads_itself and isinstance(cte.this, exp.SetOperation):
                within = {**ctes, name: self._renamed(self.query(cte.this.this, ctes), cte)}  # a recursion's first row
            ctes = {**ctes, name: self._renamed(self.query(cte.this, within), cte)}
        if isinstance(query, exp.SetOperation):
            left, right = self.query(query.this, ctes), self.query(query.expression, ctes)
            size = _Size(
                left.blocks + right.blocks,
                max(left.columns, right.columns),
                _longer(left.chars, right.chars),
                _longer(left.terms, right.terms),
            )
        elif isinstance(query, exp.Subquery):
            size = self.query(query.this, ctes)
        elif isinstance(query, exp.Select):
            size = self._select(query, ctes)
        else:
            return _Size(1, _TABLE_COLUMNS)
        if size.blocks > MAX_BLOCKS:
            raise TooLarge(
                f"its WITH queries and subqueries grow to more than {MAX_BLOCKS} SELECTs: use each only once"
            )
        if size.columns > MAX_COLUMNS:
            raise TooLarge(f"it has more than {MAX_COLUMNS} columns: name the columns that are needed")
        return size

    def _select(self, select: exp.Select, ctes: Mapping[str, _Size]) -> _Size:
        first = select.args.get("from_")
        named = [first.this] if first else []
        named += [join.this for join in select.args.get("joins") or ()]
        sources = [self._source(source, ctes) for source in named]
        size = _Size(1 + sum(source.blocks for source in sources))
        known: dict[str, float] = {}
        terms: dict[str, float] = {}
        for source in sources:
            known, terms = _longer(known, source.chars), _longer(terms, source.terms)
        size.blocks += sum(self.query(inner, ctes).blocks for inner in _inner_queries(select))
        for projection in select.expressions:
            if isinstance(projection, exp.Star) or isinstance(projection.this, exp.Star):
                size.columns += sum(source.columns for source in sources) or _TABLE_COLUMNS
                size.chars, size.terms = _longer(size.chars, known), _longer(size.terms, terms)
            else:
                size.columns += 1
                name = self._fold(projection.args["alias"]) if isinstance(projection, exp.Alias) else projection.name
                size.chars[name] = max(size.chars.get(name, 0), self._chars(projection, known))
                size.terms[name] = max(size.terms.get(name, 0), self._terms(projection, terms))
        for part in ("where", "group", "having", "order"):
            if (clause := select.args.get(part)) is not None:
                self._chars(clause, known)
        _check_grouping(select.args.get("group"))
        return size

    def _source(self, source: exp.Expr, ctes: Mapping[str, _Size]) -> _Size:
        match source:
            case exp.Table(this=exp.Identifier() as name) if self._fold(name) in ctes and not source.args.get("db"):
                size = self._renamed(ctes[self._fold(name)], source)
            case exp.Subquery(this=exp.Table() as table):
                size = self._source(table, ctes)
            case exp.Lateral() if isinstance(source.this, exp.Subquery):
                size = self._renamed(self.query(source.this, ctes), source)
            case exp.Subquery():
                size = self._renamed(self.query(source, ctes), source)
            case _:
                size = _Size(0, _TABLE_COLUMNS)
        joined = [self._source(join.this, ctes) for join in source.args.get("joins") or ()]
        for other in joined:
            size = _Size(
                size.blocks + other.blocks,
                size.columns + other.columns,
                _longer(size.chars, other.chars),
                _longer(size.terms, other.terms),
            )
        return size

    def _renamed(self, size: _Size, aliased: exp.Expr) -> _Size:
        alias = aliased.args.get("alias")
        names = [self._fold(each) for each in (alias.args.get("columns") if alias else None) or ()]
        if not names:
            return size
        terms = max(size.terms.values(), default=1)
        return _Size(size.blocks, size.columns, dict.fromkeys(names, size.longest), dict.fromkeys(names, terms))

    def _chars(self, node: exp.Expr, known: Mapping[str, float]) -> float:
        """The length of the longest value that this expression can give. Raises `TooLarge`."""
        inner = [self._chars(child, known) for child in node.iter_expressions() if not _is_query(child)]
        match node:
            case exp.Column():
                return known.get(self._fold(node.this), _COLUMN_CHARS) if isinstance(node.this, exp.Identifier) else 0
            case exp.Literal():
                return len(node.name) if node.is_string else min(_NUMBER_DIGITS, len(node.name))
            case exp.DPipe() | exp.Array():
                chars = sum(inner)
            case exp.Mul():
                chars = sum(
                    _NUMBER_DIGITS
                    if isinstance(factor, exp.Column) and self._fold(factor.this) not in known
                    else digits
                    for factor, digits in zip(node.iter_expressions(), inner, strict=False)
                )
                _check(chars, MAX_DIGITS, "the numbers that it multiplies")
            case exp.Anonymous():
                chars = _called(str(node.this).lower(), node.expressions, inner)
            case _:
                chars = max(inner, default=0)
        _check(chars, MAX_VALUE_CHARS, "the text that it builds")
        return chars

    def _terms(self, projection: exp.Expr, known: Mapping[str, float]) -> float:
        """PostgreSQL writes a column's expression out wherever the column is read."""
        columns = [each for each in projection.find_all(exp.Column) if isinstance(each.this, exp.Identifier)]
        terms = 1 + sum(known.get(self._fold(column.this), 1) for column in columns)
        if terms > MAX_TERMS:
            raise TooLarge(f"an expression grows to more than {MAX_TERMS:,} terms: use each column only once")
        return terms

    def _fold(self, name: exp.Expr) -> str:
        return fold_identifier(name, self._dialect) if isinstance(name, exp.Identifier) else name.name


def _called(name: str, arguments: Sequence[exp.Expr], inner: Sequence[float]) -> float:
    longest = max(inner, default=0)
    if name in ("replace", "regexp_replace", "translate") and len(inner) >= 3:
        # Each character of the first may be replaced by the whole third.
        searched = max(1.0, inner[1]) if name == "replace" and arguments[1].is_string else 1.0
        return inner[0] * max(1.0, inner[2] / searched)
    if name == "power" and len(arguments) == 2:
        exponent = arguments[1]
        if isinstance(exponent, exp.Literal) and not exponent.is_string and float(exponent.this) > MAX_DIGITS / 4:
            raise TooLarge(f"power needs an exponent of at most {MAX_DIGITS // 4}")
    if name == "repeat" and inner:
        return inner[0] * 1_000  # the guard lets it repeat no more
    if name in _GROWING:
        return sum(inner)
    return 2 * longest if name in _DOUBLING else longest


def _check(size: float, most: int, what: str) -> None:
    if size > most:
        raise TooLarge(f"{what} could become longer than {most:,} characters")


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
