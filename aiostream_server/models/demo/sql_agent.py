"""The demo model as the data team's SQL agent: reads the schema, sends one query, answers from its rows.

On any database but the demo shop it only names tables and counts rows: the grammar knows no other schema.
"""

import re
from collections.abc import Mapping
from typing import Final

from autogen_core.models import UserMessage

from aiostream_server.models.demo.conversation import CONFIGURE, DemoReply, DemoRequest, call, say, shorten, text_of
from aiostream_server.models.demo.rows import find_table, say_rows
from aiostream_server.models.demo.shop_query import plan_query
from aiostream_server.models.demo.shop_question import ShopQuestion, read_question

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
_Tables = Mapping[str, tuple[str, ...]]


def answer(request: DemoRequest) -> DemoReply:
    """The next step for the question: schema, query, or words."""
    # One database's schema is remembered; with several, the schema of the named one is read for each question.
    schema = request.result(_SCHEMA) or (None if request.databases else request.remembered(_SCHEMA))
    if schema is None:
        return call(_SCHEMA, **_database(request))
    # Names as the schema writes them, quoted where SQL needs it.
    tables = {found[1]: tuple(_COLUMN.findall(found[2])) for found in _TABLE.finditer(schema.content)}
    if schema.is_error or not tables:
        return say(f"The schema could not be read: {shorten(schema.content)}")
    if not request.has_called(_QUERY):
        return _first_step(request, tables, is_shop=schema.content.startswith("-- SQLite") and tables == _SHOP)
    if problem := _problem(request):
        return say(f"I could not get an answer from the database. {shorten(problem, words=40, characters=300)}")
    result = request.result(_QUERY)
    text = result.content if result else ""
    return say(say_rows(request.question, text) or f"The query gave: {shorten(text)}")


def _first_step(request: DemoRequest, tables: _Tables, *, is_shop: bool) -> DemoReply:
    question = " ".join(request.question.split()).strip(" ?!.").casefold()
    if own := _OWN_STATEMENT.fullmatch(request.question.strip()):
        return _send(request, own["sql"].strip(), "I will send the statement as it was given to me.")
    if _ASKS_TABLES.fullmatch(question):
        return say(f"The tables are: {', '.join(tables)}.")
    if (write := _ASKS_WRITE.fullmatch(question)) and (sql := _draft_write(write, tables)):
        return _send(request, sql, "I was asked to change the data, so I draft that statement.")
    read = read_question(request.question, request.earlier_questions()) if is_shop else None
    if isinstance(read, ShopQuestion):
        return _send(request, *plan_query(read))
    if (count := _ASKS_COUNT.fullmatch(question)) and (table := _named_table(count["table"], tables)):
        return _send(request, f"SELECT COUNT(*) AS row_count FROM {table}", f"I will count the rows of {table}.")  # noqa: S608
    if read is None:
        return say(
            "This is not the demo shop. Of another database I only name the tables and count their rows (“How many "
            f"rows are in {next(iter(tables))}?”). The tables are: {', '.join(tables)}. {CONFIGURE}"
        )
    quoted = " and ".join(f"“{word}”" for word in read.words) or "the combination of these words"
    return say(
        f"I did not understand {quoted}, so I give no answer. I answer questions such as “Total sales by region in "
        f"2024”. {CONFIGURE}"
    )


def _send(request: DemoRequest, sql: str, plan: str) -> DemoReply:
    return call(_QUERY, thought=plan, sql=sql, **_database(request))


def _draft_write(asked: re.Match[str], tables: _Tables) -> str | None:
    """What a naive model drafts, so that a user can watch the guard block it."""
    table, year = _named_table(asked["table"], tables), asked["year"]
    if table is None or (year and "ordered_on" not in tables[table]):
        return None
    if asked["verb"] in ("drop", "truncate"):
        return f"{asked['verb'].upper()} TABLE {table}"
    return f"DELETE FROM {table}" + (f" WHERE ordered_on LIKE '{year}%'" if year else "")  # noqa: S608


def _named_table(words: str, tables: _Tables) -> str | None:
    """The one table that these words name, in the singular or plural."""
    named = [table for table in tables if _stems(table) == _stems(words)]
    return named[0] if len(named) == 1 else None


def _stems(name: str) -> list[str]:
    return [word.removesuffix("s") for word in re.split(r"[\W_]+", name.casefold()) if word]


def _database(request: DemoRequest) -> dict[str, str]:
    """The database that the question names, or the first; nothing where there is only one."""
    named = (name for name in request.databases if name.casefold() in request.question.casefold())
    return {"database": next(named, request.databases[0])} if request.databases else {}


def _problem(request: DemoRequest) -> str | None:
    """Why the query gave no rows: its result says so, or another agent; None where there are rows."""
    if result := request.result(_QUERY):
        return result.content if result.is_error or _is_refusal(result.content) else None
    said = (text_of(message) for message in reversed(request.later) if isinstance(message, UserMessage))
    return next(filter(_is_refusal, said), None)


def _is_refusal(text: str) -> bool:
    return find_table(text) is None and bool(_REFUSED.search(text))
