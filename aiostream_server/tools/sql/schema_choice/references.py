"""Which table refers to which: by its foreign keys, or by the names of its columns where it declares none."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from aiostream_server.tools.sql.schema import Column, Table
from aiostream_server.tools.sql.schema_choice.words import split_name, word_set

_KEY_WORDS: Final = frozenset(("id", "key", "code", "no", "nr", "uuid"))
_MOST_SHARING: Final = 4
_EVERYDAY: Final = word_set(
    """
    id code name title type status state date description comment note active created updated value text label
    email language uuid key version number position ordering sequence url level
    """
)


class Reference(NamedTuple):
    """A reference of one table to another, both as numbers, by a column."""

    here: int
    there: int
    column: Column


def references(tables: Sequence[Table]) -> Iterator[Reference]:
    """Those that are declared. Of a table that declares none, the names of columns tell:

    `customer_id` refers to the table `customers`; `matnr` to the one table with a key of that name; and a name that few
    tables have connects these.
    """
    numbers = {table.full_name: number for number, table in enumerate(tables)}
    silent: list[int] = []
    for number, table in enumerate(tables):
        keys = [each for each in table.columns if each.references and each.references[0] in numbers]
        yield from (Reference(number, numbers[each.references[0]], each) for each in keys if each.references)
        if not keys:
            silent.append(number)
    yield from _guessed(tables, silent)


def _guessed(tables: Sequence[Table], silent: Sequence[int]) -> Iterator[Reference]:
    named, keyed = _by_name(tables), _by_key(tables)
    sharing: dict[str, list[tuple[int, Column]]] = {}
    for number in silent:
        for column in tables[number].columns:
            name = column.name.lower()
            there = named.get(_without_key_word(column.name), keyed.get(name))
            if there is not None:
                yield Reference(number, there, column)
            elif name not in _EVERYDAY:
                sharing.setdefault(name, []).append((number, column))
    for group in sharing.values():
        if len(group) <= _MOST_SHARING:
            yield from (
                Reference(here, there, column)
                for place, (there, _) in enumerate(group)
                for here, column in group[place + 1 :]
            )


def _without_key_word(column: str) -> str:
    """`customer` of `customer_id`; empty for a column that is no key."""
    *words, last = [*split_name(column)] or [""]
    return " ".join(words) if last in _KEY_WORDS else ""


def _by_name(tables: Sequence[Table]) -> Mapping[str, int]:
    """The table of a name in the singular, also without the prefix of a program or module."""
    found: dict[str, set[int]] = {}
    for number, table in enumerate(tables):
        words = [*split_name(table.name)]
        for name in {" ".join(words), " ".join(words[1:])} - {""}:
            found.setdefault(name.removesuffix("s"), set()).add(number)
            if name.endswith("ies"):
                found.setdefault(f"{name[:-3]}y", set()).add(number)
    return {name: min(numbers) for name, numbers in found.items() if len(numbers) == 1}


def _by_key(tables: Sequence[Table]) -> Mapping[str, int]:
    """The table with one column of this name as its primary key, where only one is."""
    keys = {number: table.primary_key[0].lower() for number, table in enumerate(tables) if len(table.primary_key) == 1}
    count = Counter(keys.values())
    return {name: number for number, name in keys.items() if count[name] == 1 and name not in _EVERYDAY}
