"""The demo model as the data team's SQL agent: reads the schema, sends one query, answers from its rows.

On any database but the demo shop it only names tables and counts rows: the grammar knows no other schema.
"""

import re
from collections.abc import Mapping
from typing import Final

from autogen_core.models import UserMessage

from aiostream_server.models.demo.reply import CONFIGURE, DemoReply, call, not_understood, say, shorten
from aiostream_server.models.demo.request import DemoRequest, text_of
from aiostream_server.models.demo.rows import find_table, say_rows
from aiostream_server.models.demo.shop_question import ShopQuestion, read_question
from aiostream_server.models.demo.shop_sql import PlannedQuery, plan_query

_SCHEMA: Final = "schema"
_QUERY: Final = "query"
SQL_TOOLS: Final = frozenset({_SCHEMA, _QUERY})
_SHOP: Final = {
    "categories": ("id", "name"),
    "customers": ("id", "name", "segment", "region_id", "joined_on"),
    "order_items": ("id", "order_id", "product_id", "quantity", "unit_price", "amount"),
    "orders": ("id", "customer_id", "ordered_on", "channel", "total"),
    "products": ("id", "name", "category_id", "price"),
    "regions": ("id", "name"),
}
_TABLE: Final = re.compile(r"^CREATE (?:TABLE|VIEW) (.+) \(\n((?:  .*\n)*)", re.MULTILINE)
_COLUMN: Final = re.compile(r'^  ("[^"]+"|\w+)(?<!PRIMARY)(?: |,|$)', re.MULTILINE)
_REFUSED: Final = re.compile(
    r"\b(?:blocked|refused|rejected|denied|not (?:allowed|approved|permitted)|failed|error|timed out|cannot)\b",
    re.IGNORECASE,
)
_ASKS_TABLES: Final = re.compile(
    r"(?:please )?(?:(?:which|what|list|show|name)(?: me)?(?: all)?(?: of)?(?: the| our)?|what are the) tables"
    r"(?: are there| exist| do (?:you|we) have| are in (?:the|this|our) database| are available)?"
)
_ASKS_COUNT: Final = re.compile(
    r"(?:please )?(?:how many|count|(?:what is )?(?:the )?number of)(?: the)?(?: rows| records| entries)?"
    r"(?: are there| are| does)?(?: of| in)?(?: the)?(?: table)? (?P<table>.+?)"
    r"(?: table)?(?: have| has| are there| are there in total| do (?:you|we) have)?"
)
_ASKS_WRITE: Final = re.compile(
    r"(?:please )?(?P<verb>delete|remove|drop|truncate|empty)(?: all| every| the| table| rows| from| of)* "
    r"(?P<table>\w+)(?: (?:of|from|in) (?P<year>20\d\d))?"
)
_KEYWORD: Final = "select|with|delete|drop|insert|update|alter|truncate|create|pragma"
_RUN: Final = r"(?i:(?:please )?(?:run|execute)(?: this| the)?(?: query| statement)?:?\s*`*"
_OWN_STATEMENT: Final = re.compile(  # behind "run", or with its first keyword in capitals
    rf"(?:{_RUN}(?={_KEYWORD}))|(?={_KEYWORD.upper()}))(?P<sql>\w+\s[^`]+)`*", re.DOTALL
)


def answer(request: DemoRequest) -> DemoReply:
    """The next step for the question: schema, query, or words."""
    # One database's schema is remembered; with several, the schema of the named one is read for each question.
    schema = request.result(_SCHEMA) or (None if request.databases else request.remembered(_SCHEMA))
    if schema is None:
        return call(_SCHEMA, **_database(request))
    tables = _read_tables(schema.content)
    if schema.is_error or not tables:
        return say(f"The schema could not be read: {shorten(schema.content)}")
    if not request.calls(_QUERY):
        return _first_step(request, schema.content, tables)
    result = request.result(_QUERY)
    if problem := _problem(request):
        return say(f"I could not get an answer from the database. {shorten(problem, words=40, characters=300)}")
    text = result.content if result else ""
    return say(say_rows(request.question, text) or f"The query gave: {shorten(text)}")


def _first_step(request: DemoRequest, schema: str, tables: Mapping[str, tuple[str, ...]]) -> DemoReply:
    question = " ".join(request.question.split()).strip(" ?!.")
    if found := _OWN_STATEMENT.fullmatch(request.question.strip()):
        return _send(
            request,
            PlannedQuery(found["sql"].strip(), "I will send the statement as it was given to me."),
        )
    if _ASKS_TABLES.fullmatch(question.casefold()):
        return say(f"The tables are: {', '.join(tables)}.")
    if write := _write(question, tables):
        return _send(request, write)
    read = read_question(request.question, request.earlier_questions()) if _is_shop(schema, tables) else None
    if isinstance(read, ShopQuestion):
        return _send(request, plan_query(read))
    if count := _row_count(question, tables):
        return _send(request, count)
    if read is not None:
        return say(not_understood(read.words, "Total sales by region in 2024"))
    return say(
        f"This is not the demo shop. Of another database I only name the tables and count their rows (“How many rows "
        f"are in {next(iter(tables))}?”). The tables are: {', '.join(tables)}. {CONFIGURE}"
    )


def _send(request: DemoRequest, query: PlannedQuery) -> DemoReply:
    return call(_QUERY, thought=query.plan, sql=query.sql, **_database(request))


def _row_count(question: str, tables: Mapping[str, tuple[str, ...]]) -> PlannedQuery | None:
    found = _ASKS_COUNT.fullmatch(question.casefold())
    table = _named_table(found["table"], tables) if found else None
    if table is None:
        return None
    return PlannedQuery(f"SELECT COUNT(*) AS row_count FROM {table}", f"I will count the rows of {table}.")  # noqa: S608


def _write(question: str, tables: Mapping[str, tuple[str, ...]]) -> PlannedQuery | None:
    """What a naive model drafts, so that a user can watch the guard block it."""
    found = _ASKS_WRITE.fullmatch(question.casefold())
    table = _named_table(found["table"], tables) if found else None
    if found is None or table is None or (found["year"] and "ordered_on" not in tables[table]):
        return None
    if found["verb"] in ("drop", "truncate"):
        sql = f"{found['verb'].upper()} TABLE {table}"
    else:
        where = f" WHERE ordered_on LIKE '{found['year']}%'" if found["year"] else ""
        sql = f"DELETE FROM {table}{where}"  # noqa: S608
    return PlannedQuery(sql, f"I was asked to change {table}, so I draft that statement.")


def _named_table(words: str, tables: Mapping[str, tuple[str, ...]]) -> str | None:
    """The one table that these words name, in the singular or plural."""
    named = [table for table in tables if _stems(table) == _stems(words)]
    return named[0] if len(named) == 1 else None


def _stems(name: str) -> list[str]:
    return [word.removesuffix("s") for word in re.split(r"[\W_]+", name.casefold()) if word]


def _read_tables(schema: str) -> dict[str, tuple[str, ...]]:
    """Names as the schema writes them, quoted where SQL needs it."""
    return {found[1]: tuple(_COLUMN.findall(found[2])) for found in _TABLE.finditer(schema)}


def _is_shop(schema: str, tables: Mapping[str, tuple[str, ...]]) -> bool:
    return schema.startswith("-- SQLite") and tables == _SHOP


def _database(request: DemoRequest) -> dict[str, str]:
    """The database that the question names, or the first; nothing where there is only one."""
    named = (name for name in request.databases if name.casefold() in request.question.casefold())
    return {"database": next(named, request.databases[0])} if request.databases else {}


def _problem(request: DemoRequest) -> str | None:
    """Why the query gave no rows: its result says so, or another agent; None where there are rows."""
    result = request.result(_QUERY)
    if result is None:
        said = [text_of(message) for message in request.later if isinstance(message, UserMessage)]
        return next((text for text in reversed(said) if _is_refusal(text)), None)
    return result.content if result.is_error or _is_refusal(result.content) else None


def _is_refusal(text: str) -> bool:
    return find_table(text) is None and bool(_REFUSED.search(text))
