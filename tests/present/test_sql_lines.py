"""A long query in lines: the same statement, broken before its clauses."""

import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.present.sql_lines import in_lines
from tests.tools.statements import FAIR

LONG = (
    "SELECT r.name, SUM(o.total) AS total, EXTRACT(year FROM o.day) AS y FROM orders AS o "
    "LEFT JOIN regions r ON r.id = o.region_id WHERE o.id IN (SELECT id FROM big "
    "WHERE note <> ' from here ') AND a IS DISTINCT FROM b "
    "GROUP BY r.name ORDER BY SUM(o.total) OVER (PARTITION BY r.name ORDER BY o.day) DESC LIMIT 5"
)


def test_a_long_query_is_broken_before_its_clauses() -> None:
    assert in_lines(LONG).split("\n") == [
        "SELECT r.name, SUM(o.total) AS total, EXTRACT(year FROM o.day) AS y",
        "FROM orders AS o",
        "LEFT JOIN regions r ON r.id = o.region_id",
        "WHERE o.id IN (SELECT id",
        "  FROM big",
        "  WHERE note <> ' from here ') AND a IS DISTINCT FROM b",
        "GROUP BY r.name",
        "ORDER BY SUM(o.total) OVER (PARTITION BY r.name ORDER BY o.day) DESC",
        "LIMIT 5",
    ]


def test_what_is_short_or_has_lines_or_a_comment_stays() -> None:
    for sql in ("SELECT 1 FROM a", LONG.replace("WHERE", "\nWHERE"), LONG + " -- all"):
        assert in_lines(sql) == sql


def test_it_is_the_same_statement() -> None:
    for sql in [LONG, *FAIR["postgres"]]:
        assert sqlglot.parse(in_lines(sql), read="postgres") == sqlglot.parse(sql, read="postgres")


@given(st.text("SELECT FROMWHERE()'\"`$-/* \tJOIN", min_size=81, max_size=300))
def test_only_white_space_changes(sql: str) -> None:
    assert in_lines(sql).split() == sql.split()
