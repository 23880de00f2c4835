"""Which table, column or unit of time a question means at some word."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from aiostream_server.models.demo.sql.schema_text import Column, Schema, Table
from aiostream_server.models.demo.sql.words import Words, name_parts
from aiostream_server.models.demo.word_list import word_list

TimeUnit: TypeAlias = Literal["day", "week", "month", "quarter", "year"]
Meant: TypeAlias = Table | Column | TimeUnit

_UNITS: Final[tuple[TimeUnit, ...]] = get_args(TimeUnit)
_LABELS: Final = ("name", "title", "label", "full_name", "company", "company_name", "email", "code", "sku")
_VAGUE: Final = frozenset(
    {"name", "title", "label", "total", "number", "date", "day", "time", "at", "on", "by", "is", "id"}
)
_ATTRIBUTES: Final = frozenset(word_list("unit list net gross max min avg new old"))  # unit_price is no unit
_FILLERS: Final = frozenset(word_list("the a an our my each every all single different individual of these those"))


@dataclass(frozen=True, slots=True)
class Mention:
    """What is meant, and the number of the word behind it."""

    meant: Meant
    end: int


def noun_at(words: Words, schema: Schema, position: int) -> Mention | None:
    """The noun phrase at a word, articles skipped: of "product category" it is the category."""
    while position < len(words.at) and words.at[position] in _FILLERS:
        position += 1
    found = mention_at(words, schema, position)
    head = mention_at(words, schema, found.end) if found and not isinstance(found.meant, str) else None
    return head or found


def mention_at(words: Words, schema: Schema, position: int) -> Mention | None:
    """The longest name that begins at a word: "order status" before "order", a table before a column."""
    for parts, meant in _names_at(words, schema, position):
        if not (isinstance(meant, Column) and parts == name_parts(meant.name) and (meant.is_key or is_vague(meant))):
            return Mention(meant, position + len(parts))
    for unit in _UNITS:
        if words.matches((unit,), position):
            return Mention(unit, position + 1)
    return None


def table_at(words: Words, schema: Schema, position: int) -> Table | None:
    """The table that is named at a word, whatever follows."""
    tables = (meant for _, meant in _names_at(words, schema, position) if isinstance(meant, Table))
    return next(tables, None)


def mentioned_tables(words: Words, schema: Schema) -> list[Table]:
    """The tables that the question names, in its order."""
    found = (mention_at(words, schema, i) for i in range(len(words.at)))
    tables: list[Table] = []
    for mention in found:
        if mention and isinstance(mention.meant, Table) and mention.meant not in tables:
            tables.append(mention.meant)
    return tables


def mentioned_numbers(words: Words, schema: Schema) -> Iterator[Column]:
    """The columns of numbers that the question names; also by one word of a longer name: price for unit_price."""
    numbers = [column for column in schema.columns if column.is_number]
    exact = (one for one in numbers if not is_vague(one))
    yield from (one for one in exact if words.find(name_parts(one.name)) is not None)
    for one in numbers:
        parts = name_parts(one.name)
        telling = [part for part in (parts[-1], parts[0]) if len(parts) > 1 and part not in _VAGUE | _ATTRIBUTES]
        if any(words.find((part,)) is not None for part in telling):
            yield one


def label_of(table: Table) -> Column | None:
    """The column that tells a row of the table to a person."""
    named = (table.column(name) for name in (*_LABELS, f"{'_'.join(name_parts(table.name))}_name"))
    texts = (column for column in table.columns if column.is_text)
    return next((one for one in named if one), None) or table.key or next(texts, None)


def is_vague(column: Column) -> bool:
    """Whether a column's name says too little without its table's: `name`, `title`."""
    return _VAGUE.issuperset(name_parts(column.name))


def find_table(schema: Schema, names: Iterable[str]) -> Table | None:
    """The first table called by one of these words, singular or plural."""
    tables = {name_parts(table.name): table for table in reversed(schema.tables)}
    return next((tables[(name,)] for name in names if (name,) in tables), None)


def _names_at(words: Words, schema: Schema, position: int) -> list[tuple[tuple[str, ...], Table | Column]]:
    """The names that begin at a word, the longest first; then tables; then the word itself before its synonyms."""
    meanings = words.meanings[position] if position < len(words.at) else frozenset()
    named = [name for meaning in sorted(meanings) for name in schema.names.get(meaning, ())]
    fitting = [name for name in named if words.matches(name[0], position)]
    said = name_parts(words.at[position]) if fitting else ()
    return sorted(fitting, key=lambda name: (-len(name[0]), isinstance(name[1], Column), name[0][:1] != said))
