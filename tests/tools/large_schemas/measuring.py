"""How many of the questions about a large schema find all tables that they need in the prompt."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.schema_choice.asked_so_far import AskedSoFar
from aiostream_server.tools.sql.schema_choice.tokens import estimated_tokens
from tests.tools.large_schemas import Asked

_CREATED = re.compile(r'^CREATE (?:TABLE|VIEW) (?:\w+\.)?"?(\w+)"? ', re.MULTILINE)


@dataclass(frozen=True)
class Measured:
    asked: int
    missed: Sequence[str]
    most_tokens: int
    tables: int

    @property
    def share(self) -> float:
        return 1 - len(self.missed) / self.asked

    def __str__(self) -> str:
        found = self.asked - len(self.missed)
        return f"{found} of {self.asked} questions ({self.share:.1%}), at most {self.most_tokens} tokens"


def shown_tables(text: str) -> set[str]:
    return {*_CREATED.findall(text)}


async def measure(database: Database, questions: Sequence[Asked]) -> Measured:
    missed: list[str] = []
    tokens = tables = 0
    for asked in questions:
        text = await database.describe(AskedSoFar([asked.question]), "tables")
        shown = shown_tables(text)
        tokens, tables = max(tokens, estimated_tokens(text)), tables + len(shown)
        if lacking := asked.needed - shown:
            missed.append(f"{asked.question} ({', '.join(sorted(lacking))})")
    return Measured(len(questions), missed, tokens, tables // len(questions))
