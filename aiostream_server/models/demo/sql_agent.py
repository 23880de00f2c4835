"""The SQL agent: reads the schema, drafts one query, tries once more if it was refused, and answers from its rows."""

import re
from typing import Final

from autogen_core.models import UserMessage

from aiostream_server.models.demo.analyst import read_rows
from aiostream_server.models.demo.conversation import Conversation, text_of
from aiostream_server.models.demo.speech import Reply, call, gist, say
from aiostream_server.models.demo.sql.draft import Draft, draft, draft_simpler
from aiostream_server.models.demo.sql.follow_up import in_full
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
_NAMED_TABLES: Final = 12


def answer(conversation: Conversation) -> Reply:
    """The next step, seen from what has been tried for this question."""
    # Of one database the schema is remembered; of several, it is read for the one that is meant.
    remembered = None if conversation.databases else conversation.remembered(SCHEMA)
    schema_result = conversation.result(SCHEMA) or remembered
    if schema_result is None:
        return call(SCHEMA, **_database(conversation))
    schema = parse_schema(schema_result.content)
    if schema_result.is_error or not schema.tables:
        return say(f"The schema could not be read: {gist(schema_result.content)}")
    tries = len(conversation.calls(QUERY))
    if tries == 0:
        return _first_try(conversation, schema)
    problem = _refusal(conversation)
    if problem is None:
        return say(_read_result(conversation))
    return _after_refusal(conversation, schema, problem, tries)


def _refusal(conversation: Conversation) -> str | None:
    """Why the last query gave no rows: what its result, or else another agent, says; None where it worked."""
    result = conversation.result(QUERY)
    if result is None:
        heard = [text_of(message) for message in conversation.later if isinstance(message, UserMessage)]
        return next((text for text in reversed(heard) if _sounds_refused(text)), None)
    return result.content if result.is_error or _sounds_refused(result.content) else None


def _sounds_refused(text: str) -> bool:
    return find_table(text) is None and bool(_REFUSED.search(text))


def _database(conversation: Conversation) -> dict[str, str]:
    """Where there are several: the one that the question names, or the first."""
    names = conversation.databases
    if not names:
        return {}
    named = (name for name in names if name.casefold() in conversation.question.casefold())
    return {"database": next(named, names[0])}


def _first_try(conversation: Conversation, schema: Schema) -> Reply:
    question = conversation.question
    statement = own_statement(question)
    if statement:
        return _query(conversation, Draft(statement, "I will send the statement as it was given to me."))
    made = draft_write(question, schema) or _drafted(conversation, schema)
    if made is None:
        tables = ", ".join(table.name for table in schema.tables[:_NAMED_TABLES])
        return say(f"I could not match “{gist(question)}” to tables and columns. There are: {tables}.")
    return _query(conversation, made)


def _drafted(conversation: Conversation, schema: Schema) -> Draft | None:
    question = in_full(conversation.question, conversation.asked_before(), schema)
    made = draft(question, schema)
    if made is None or question == conversation.question:
        return made
    return Draft(made.sql, f"I go on from what you asked before. {made.plan}")


def _after_refusal(conversation: Conversation, schema: Schema, problem: str, tries: int) -> Reply:
    question = conversation.question
    if asks_to_write(question):
        return say(f"I cannot do that: I may only read this database. {_sentence(problem)}")
    if own_statement(question):
        return say(f"I could not run that statement as it was given to me. {_sentence(problem)}")
    full = in_full(question, conversation.asked_before(), schema)
    simpler = draft_simpler(full, schema) if tries < _MOST_TRIES else None
    if simpler is None:
        return say(f"I could not get an answer from the database, and I give up. {_sentence(problem)}")
    return _query(conversation, simpler)


def _query(conversation: Conversation, made: Draft) -> Reply:
    return call(QUERY, thought=made.plan, sql=made.sql, **_database(conversation))


def _read_result(conversation: Conversation) -> str:
    read = read_rows(conversation.question, conversation.texts())
    result = conversation.result(QUERY)
    return read or (f"The query gave: {gist(result.content)}" if result else "The query has no result yet.")


def _sentence(text: str) -> str:
    short = gist(text, words=40, characters=300)
    return short if short.endswith((".", "!", "?", "…")) else f"{short}."
