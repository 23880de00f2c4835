"""What a question wants to have counted, added up or averaged."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from aiostream_server.models.demo.sql.amounts import Amount, amount_of, amounts, quantities
from aiostream_server.models.demo.sql.joins import join_tables
from aiostream_server.models.demo.sql.names import find_table, mentioned_numbers, mentioned_tables, table_at
from aiostream_server.models.demo.sql.schema_text import Column, Schema, Table
from aiostream_server.models.demo.sql.words import Words, name_parts, singular
from aiostream_server.models.demo.word_list import word_list

Function: TypeAlias = Literal["SUM", "AVG", "COUNT", "MAX", "MIN"]

MONEY: Final = (
    r"sales?|revenues?|turnover|income|earnings?|earned|takings|spend|spent|spending|spends|money|paid|gross|"
    r"(?:order|purchase|basket|sale) (?:value|size|amount)s?"
)
_SOLD: Final = (
    r"(?:best|top|worst)[- ]?sell(?:ing|ers?)|(?:least|most)[- ]selling|sells?|sold|popular|units?|pieces|"
    r"quantit(?:y|ies)|copies|bought"
)
_PER_ORDER: Final = (
    r"(?:average|mean|avg|typical)(?: (?:total|customer|sales))? (?:order|purchase|basket|sale)s?"
    r"(?: (?:value|size|amount|total)s?)?"
)
_COUNTED: Final = frozenset({"how many", "number of", "count of", "count the", "count all", "most", "fewest"})
_ADJECTIVES: Final = 4  # words that may stand between "how many" and its noun, and the noun
_ENDS_NOUN: Final = frozenset(word_list("did do does were was are is have has of in per by"))


@dataclass(frozen=True, slots=True)
class Measure:
    """`amount` is aggregated by `function`, or rows of `base` are counted; `per` is what the sum is divided among."""

    function: Function
    base: str
    alias: str
    amount: Amount | None = None
    per: Column | None = None

    def sql(self, schema: Schema, *, multiplied: bool) -> str:
        """The aggregate; where joins multiply the rows of `base`, they are counted by their key."""
        if self.amount is None:
            table = schema.table(self.base)
            key = table.key if table else None
            return f"COUNT(DISTINCT {key.sql})" if multiplied and key else "COUNT(*)"
        total = f"{self.function}({self.amount.value})"
        if self.per:
            total = f"{total} * 1.0 / COUNT(DISTINCT {self.per.sql})"
        elif self.amount.is_whole and self.function != "AVG":
            return total
        return total if self.amount.is_binary and schema.dialect == "postgresql" else f"ROUND({total}, 2)"


def find_measure(words: Words, schema: Schema, grouped: Sequence[str]) -> Measure | None:
    """What is asked for, given the tables that it is grouped by. The most explicit reading wins."""
    readings = (_per_order, _counted, _named_number, _money, _sold, _total)
    return next((found for read in readings if (found := read(words, schema, grouped))), None)


def money(words: Words, schema: Schema, grouped: Sequence[str]) -> Measure | None:
    """Whatever money there is in the schema, added up or averaged: by the shortest way to what it is grouped by."""
    fitting = [one for one in amounts(schema) if _is_safe(schema, one.table, grouped)]
    if not fitting:
        return None

    def distance(one: Amount) -> tuple[int, bool]:
        return len(join_tables(schema, one.table, grouped) or ()), not _is_dated(one, schema)

    amount = min(fitting, key=distance)
    said = re.search(r"\b(?:sales|revenue|turnover|income)\b", words.text)
    is_average = _function(words) == "AVG"
    alias = f"{'average' if is_average else 'total'}_{said[0] if said else 'sales'}"
    return Measure("AVG" if is_average else "SUM", amount.table, alias, amount)


def counting(table: Table) -> Measure:
    """The number of a table's rows."""
    return Measure("COUNT", table.name, f"{'_'.join(name_parts(table.name))}_count")


def aggregate(words: Words, column: Column) -> Measure:
    """A column of numbers, aggregated as the question's words say."""
    function = _function(words)
    prefix = {"SUM": "total", "AVG": "average", "MAX": "highest", "MIN": "lowest", "COUNT": "number_of"}[function]
    amount = amount_of(column)
    return Measure(function, column.table, f"{prefix}_{amount.name}", amount)


def is_ranked_high(words: Words) -> bool | None:
    """True for "highest", False for "lowest", None where nothing is ranked."""
    if words.has(r"lowest|least|fewest|worst|smallest|weakest|minimum|min|bottom|cheapest|slowest|worst-selling"):
        return False
    if words.has(r"highest|most|best|top|largest|biggest|greatest|maximum|max|strongest|priciest|leading"):
        return True
    return None


def says_how(words: Words) -> bool:
    """Whether the question says how numbers are to be put together."""
    return words.has(r"total|sum|overall|combined|altogether|add up|average|mean|avg|typical")


def _function(words: Words) -> Function:
    if words.has(r"average|mean|avg|typical"):
        return "AVG"
    if words.has(MONEY) or words.has(r"total|sum|overall|combined|altogether|add up"):
        return "SUM"
    ranked_high = is_ranked_high(words)
    return "SUM" if ranked_high is None else "MAX" if ranked_high else "MIN"


def _per_order(words: Words, schema: Schema, grouped: Sequence[str]) -> Measure | None:
    if not words.has(_PER_ORDER):
        return None
    found = money(words, schema, grouped)
    orders = find_table(schema, ("order", "purchase", "sale", "invoice"))
    if found is None or orders is None:
        return None
    if found.base == orders.name:
        return replace(found, function="AVG", alias="average_order_value")
    base = schema.table(found.base)
    columns = base.columns if base else []
    per = next((one for one in columns if one.references and one.references[0] == orders.name), None)
    return replace(found, function="SUM", alias="average_order_value", per=per) if per else None


def _counted(words: Words, schema: Schema, grouped: Sequence[str]) -> Measure | None:
    units_are_meant = words.has(r"sell|sold|bought|units?|pieces") and any(quantities(schema))
    for i in range(len(words.at)):
        behind = 2 if " ".join(words.at[i : i + 2]) in _COUNTED else 1 if words.at[i] in _COUNTED | {"count"} else 0
        if behind and not units_are_meant and (table := _table_behind(words, schema, i + behind, far=behind == 2)):
            return counting(table)
    return None


def _table_behind(words: Words, schema: Schema, position: int, *, far: bool) -> Table | None:
    """The table named here, or (`far`) a few words on: "how many different active customers"."""
    for i in range(position, min(len(words.at), position + (_ADJECTIVES if far else 1))):
        if table := table_at(words, schema, i):
            return table
        if singular(words.at[i]) in ("sale", "transaction"):
            return find_table(schema, ("sale", "order", "transaction", "purchase", "invoice"))
        if words.at[i] in _ENDS_NOUN:
            return None
    return None


def _named_number(words: Words, schema: Schema, grouped: Sequence[str]) -> Measure | None:
    column = next(mentioned_numbers(words, schema), None)
    if column is None or (words.has(MONEY) and not words.has(" ".join(name_parts(column.name)))):
        return None
    if not (says_how(words) or is_ranked_high(words) is not None or grouped):
        return None
    return aggregate(words, column) if _is_safe(schema, column.table, grouped) or not says_how(words) else None


def _money(words: Words, schema: Schema, grouped: Sequence[str]) -> Measure | None:
    return money(words, schema, grouped) if words.has(MONEY) else None


def _sold(words: Words, schema: Schema, grouped: Sequence[str]) -> Measure | None:
    if not words.has(_SOLD):
        return None
    column = next((one for one in quantities(schema) if _is_safe(schema, one.table, grouped)), None)
    if column is None:
        return money(words, schema, grouped)
    return Measure("SUM", column.table, "units_sold", amount_of(column))


def _total(words: Words, schema: Schema, grouped: Sequence[str]) -> Measure | None:
    """ "The total of all web orders"."""
    found = money(words, schema, grouped) if says_how(words) else None
    return found if found and found.base in [table.name for table in mentioned_tables(words, schema)] else None


def _is_dated(amount: Amount, schema: Schema) -> bool:
    return any(column.is_date for column in schema.columns if column.table == amount.table)


def _is_safe(schema: Schema, base: str, tables: Sequence[str]) -> bool:
    """Whether no join multiplies the rows that are added up: else a sum would be wrong."""
    joins = join_tables(schema, base, tables)
    return joins is not None and not any(join.to_many for join in joins)
