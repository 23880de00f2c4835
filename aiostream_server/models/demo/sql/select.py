"""A SELECT statement in its parts, and its text."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from aiostream_server.models.demo.sql.joins import Join, join_tables
from aiostream_server.models.demo.sql.schema_text import Column, Schema, quoted
from aiostream_server.models.demo.sql.words import Words, name_parts


@dataclass(slots=True)
class Select:
    """`columns` are (SQL, alias); an alias that is empty, or the column's own name, is not written."""

    base: str
    columns: list[tuple[str, str]] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    having: str = ""
    order: str = ""
    limit: int | None = None
    is_distinct: bool = False

    @property
    def multiplies(self) -> bool:
        """Whether a row of `base` may come several times."""
        return any(join.to_many for join in self.joins)

    def reach(self, schema: Schema, tables: Iterable[str]) -> bool:
        """Join these tables, too; False (and nothing is changed) where there is no way to one."""
        joins = join_tables(schema, self.base, [*(join.table for join in self.joins), *tables])
        if joins is not None:
            self.joins = joins
        return joins is not None

    def sql(self) -> str:
        """One clause a line."""
        columns = ", ".join(_aliased(expression, alias) for expression, alias in self.columns)
        lines = [f"SELECT {'DISTINCT ' if self.is_distinct else ''}{columns}", f"FROM {quoted(self.base)}"]
        lines += [f"JOIN {quoted(join.table)} ON {join.left.sql} = {join.right.sql}" for join in self.joins]
        clauses = (
            ("WHERE", " AND ".join(self.where)),
            ("GROUP BY", ", ".join(dict.fromkeys(self.group))),
            ("HAVING", self.having),
            ("ORDER BY", self.order),
            ("LIMIT", "" if self.limit is None else str(self.limit)),
        )
        return "\n".join([*lines, *(f"{keyword} {text}" for keyword, text in clauses if text)])


def date_column(schema: Schema, base: str, words: Words) -> Column | None:
    """The date that a question about a table means.

    A named one ("joined in 2024" is joined_on), or else the rows' own, or that of the nearest rows that they belong to.
    """
    dates = [one for one in schema.columns if one.is_date]
    named = [one for one in dates if name_parts(one.name)[:1] and name_parts(one.name)[0] in words.at]
    reached = [base]
    for name in reached:
        table = schema.table(name)
        columns = table.columns if table else []
        reached += [one.references[0] for one in columns if one.references and one.references[0] not in reached]
    near = [one for name in reached for one in dates if one.table == name]
    return next((one for one in near if one in named), None) or next(iter([*named, *near]), None)


def _aliased(expression: str, alias: str) -> str:
    return expression if expression.rpartition(".")[2] == alias else f"{expression} AS {quoted(alias)}"
