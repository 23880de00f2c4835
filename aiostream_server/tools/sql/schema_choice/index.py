"""A full-text index of a schema's tables, in memory: https://www.sqlite.org/fts5.html

Names, descriptions and columns have an index each, so that the rank of a name (bm25) counts its own length and how rare
a word is among names: `customer` stands in the columns of a hundred tables and in the names of three.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, TypeAlias

from aiostream_server.tools.sql.schema import Schema, Table
from aiostream_server.tools.sql.schema_choice.terms import Term, Vocabulary
from aiostream_server.tools.sql.schema_choice.words import split_name

_TOKENIZER: Final = "tokenize = 'porter unicode61 remove_diacritics 2'"
_FIELDS: Final = {"names": 2.0, "about": 1.3, "columns": 0.6}
"""Each index, and how much its rank counts."""

_MOST_KNOWN: Final = 10_000

Scores: TypeAlias = dict[int, float]
"""By the number of the table in the schema."""


class TableIndex:
    """Used by several threads, one at a time."""

    def __init__(self, schema: Schema, tables: Sequence[Table]) -> None:
        self._known: Final[dict[tuple[str, str], Scores]] = {}
        self._lock: Final = threading.Lock()
        self._connection: Final = sqlite3.connect(":memory:", check_same_thread=False)
        words: set[str] = set()
        for field in _FIELDS:
            self._connection.execute(f"CREATE VIRTUAL TABLE {field} USING fts5(words, owner UNINDEXED, {_TOKENIZER})")
            rows = [
                (" ".join(split), number)
                for number, table in enumerate(tables)
                for text in _texts(field, schema, table)
                if (split := [*split_name(text)])
            ]
            words.update(word for text, _ in rows for word in text.split())
            self._connection.executemany(
                f"INSERT INTO {field} (words, owner) VALUES (?, ?)",  # noqa: S608 - the name is one of the above
                rows,
            )
        self.vocabulary: Final = Vocabulary(words)

    def scores(self, term: Term) -> Scores:
        """The tables that the term may mean: the sum over the fields of the best word in each."""
        totals: Scores = {}
        for field, weight in _FIELDS.items():
            best: Scores = {}
            for sure, words in term.meanings:
                for number, score in chain.from_iterable(self._ranks(field, word).items() for word in words):
                    best[number] = max(best.get(number, 0.0), sure * score)
            for number, score in best.items():
                totals[number] = totals.get(number, 0.0) + term.weight * weight * score
        return totals

    def _ranks(self, field: str, word: str) -> Scores:
        """Of several columns, the best one counts."""
        key = (field, word)
        if key not in self._known:
            select = f"SELECT owner, max(-rank) FROM {field} WHERE {field} MATCH ? GROUP BY owner"  # noqa: S608
            with self._lock:
                found = dict(self._connection.execute(select, (f'"{word}"',)).fetchall())
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = found
        return self._known[key]


def _texts(field: str, schema: Schema, table: Table) -> Iterator[str]:
    if field == "names":
        yield table.name
    elif field == "about":
        yield f"{table.comment} {schema.notes.get(table.full_name, '')}"
    else:
        for column in table.columns:
            note = schema.notes.get(f"{table.full_name}.{column.name}", "")
            yield " ".join((column.name, column.comment, note, *(column.values or column.samples)))
