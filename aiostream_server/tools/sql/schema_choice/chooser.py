"""What the agents read of a schema: all of it where it fits into the budget, else the tables that a question needs."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from aiostream_server.tools.sql.schema import Schema
from aiostream_server.tools.sql.schema_choice.asked_so_far import AskedSoFar
from aiostream_server.tools.sql.schema_choice.excerpt import Excerpts
from aiostream_server.tools.sql.schema_choice.ranking import TableRanking
from aiostream_server.tools.sql.schema_choice.tokens import estimated_tokens
from aiostream_server.tools.sql.schema_choice.words import split_name

MORE_TABLES: Final = "Read the columns and keys of more tables of the database"
WANTED: Final = "Names of tables, shell patterns (sale_*), or words for what they hold."
"""What agents are told of the tool behind `SchemaChooser.find`, and of its argument."""

_MOST_BY_WORDS: Final = 12
_PATTERN: Final = frozenset("*?[")
_NAME: Final = re.compile(r"\w+")


class SchemaChooser:
    """Chooses from one schema as it was read. `budget` is in tokens, as `estimated_tokens` counts them.

    Making one, and its methods, take up to some hundred milliseconds for a thousand tables: call them in a thread.
    """

    def __init__(self, schema: Schema, budget: int) -> None:
        self._schema: Final = schema
        self._tables: Final = [table for table in schema.tables if table.kind != "partition"]
        texts = [schema.describe_table(table) for table in self._tables]
        costs = [estimated_tokens(text) + 1 for text in texts]
        self.tokens: Final = estimated_tokens(schema.head()) + sum(costs)
        """Of the whole schema."""
        self.is_whole: Final = self.tokens <= budget
        self._ranking: Final = None if self.is_whole else TableRanking(schema, self._tables)
        hubs = self._ranking.hubs if self._ranking else ()
        self._excerpts: Final = Excerpts(schema, self._tables, texts, costs, budget, hubs)

    def describe(self, conversation: AskedSoFar, tool: str) -> str:
        """The tables for the conversation's last question. `tool` is the name of the tool that shows others."""
        if self._ranking is None:
            return self._schema.describe()
        terms = self._ranking.terms(conversation.questions)
        named = self._written_out(" ".join(conversation.questions[-1:]))
        order = self._ranking.best(terms, [*named, *self._used(conversation.statements)])
        return self._excerpts.for_question(order, terms, tool)

    def find(self, wanted: Sequence[str], tool: str) -> str:
        """The tables of these names, shell patterns or words, as far as they fit into the budget."""
        found = {each: self._matching(each.strip()) for each in wanted}
        numbers = [*dict.fromkeys(number for matching in found.values() for number in matching)]
        terms = self._ranking.terms([" ".join(wanted)]) if self._ranking else []
        unknown = [each for each, matching in found.items() if not matching]
        return self._excerpts.of_tables(numbers, terms, unknown, tool)

    def _matching(self, wanted: str) -> Sequence[int]:
        name = wanted.lower()
        tables = [*enumerate(self._tables)]
        if _PATTERN & {*name}:
            return [number for number, table in tables if any(fnmatchcase(each.lower(), name) for each in table.names)]
        if exact := [number for number, table in tables if name in (table.name.lower(), *map(str.lower, table.names))]:
            return exact
        if self._ranking is None:
            words = {*split_name(wanted)}
            return [number for number, table in tables if not words.isdisjoint(split_name(table.name))]
        terms = self._ranking.terms([wanted])
        return self._ranking.best(terms)[:_MOST_BY_WORDS] if any(map(self._ranking.is_meant, terms)) else []

    def _written_out(self, question: str) -> Sequence[int]:
        """The tables that the question calls by their names, where these are no everyday words: `device_7`."""
        words = {word for word in _names_in(question) if not word.isalpha()}
        return [number for number, table in enumerate(self._tables) if table.name.lower() in words]

    def _used(self, statements: Sequence[str]) -> Sequence[int]:
        """The tables that the statements name, those of the last statement first."""
        words = [{*_names_in(each)} for each in reversed(statements)]
        names = [table.name.lower() for table in self._tables]
        return [number for each in words for number, name in enumerate(names) if name in each]


def _names_in(sql: str) -> Iterator[str]:
    return (match.lower() for match in _NAME.findall(sql))
