"""The SQL agent: reads the schema, drafts one query, tries once more if it was refused, and answers from its rows."""

import re
from typing import Final

from autogen_core.models import UserMessage

from aiostream_server.models.demo.analyst import read_rows
from aiostream_server.models.demo.conversation import Conversation, text_of
from aiostream_server.models.demo.speech import Reply, call, gist, say
from aiostream_server.models.demo.sql.draft import Draft, draft, draft_simpler
from aiostream_server.models.demo.sql.schema_text import Schema, parse_schema
from aiostream_server.models.demo.sql.writes import asks_to_write, draft_write, own_statement
from aiostream_server.models.demo.table_text import find_table

SCHEMA: Final = "schema"
QUERY: Final = "query"
TOOLS: Final = frozenset({SCHEMA, QUERY})
_REFUSED: Final = re.compile(
    r"\b(?:blocked|refused|rejected|denied|not (?:allowed|approved|permitted))\b|"
    r"\b(?:failed|error|timed out|could not|cannot)\b",
    re.IGNORECASE,
)
_MOST_TRIES: Final = 2


def answer(conversation: Conversation) -> Reply:
    """The next step, seen from what has been tried for this question."""
    schema_result = conversation.result(SCHEMA)
    if schema_result is None:
        return call(SCHEMA)
    schema = parse_schema(schema_result.content)
    if schema_result.is_error or not schema.tables:
        return say(f"The schema could not be read: {gist(schema_result.content)}")
    tries = len(conversation.calls(QUERY))
    if tries == 0:
        return _first_try(conversation.question, schema)
    problem = refusal(conversation)
    if problem is None:
        return say(_read_result(conversation))
    return _after_refusal(conversation.question, schema, problem, tries)


def refusal(conversation: Conversation) -> str | None:
    """Why the last query gave no rows: what the tool, or another agent, says of it; None where it worked."""
    result = conversation.result(QUERY)
    heard = [text_of(message) for message in conversation.later if isinstance(message, UserMessage)]
    for text in [*reversed(heard), *([result.content] if result else [])]:
        if find_table(text):
            return None
        if _REFUSED.search(text):
            return text
    return result.content if result and result.is_error else None


def _first_try(question: str, schema: Schema) -> Reply:
    statement = own_statement(question)
    if statement:
        return _query(Draft(statement, "I will send the statement as it was given to me."))
    made = draft_write(question, schema) or draft(question, schema)
    if made is None:
        tables = ", ".join(table.name for table in schema.tables[:12])
        return say(f"I found nothing in “{gist(question)}” that matches a table or column. There are: {tables}.")
    return _query(made)


def _after_refusal(question: str, schema: Schema, problem: str, tries: int) -> Reply:
    if own_statement(question) or asks_to_write(question):
        return say(f"I cannot do that: I may only read this database. {_sentence(problem)}")
    simpler = draft_simpler(question, schema) if tries < _MOST_TRIES else None
    if simpler is None:
        return say(f"I could not get an answer from the database, and I give up. {_sentence(problem)}")
    return _query(simpler)


def _query(made: Draft) -> Reply:
    return call(QUERY, thought=made.plan, sql=made.sql)


def _read_result(conversation: Conversation) -> str:
    result = conversation.result(QUERY)
    texts = [*conversation.texts(), *([result.content] if result else [])]
    return read_rows(conversation.question, texts) or f"The query gave: {gist(result.content if result else '')}"


def _sentence(text: str) -> str:
    short = gist(text, words=40, characters=300)
    return short if short.endswith((".", "!", "?", "…")) else f"{short}."
