"""Titles and queries are short, plain, and in the words of the question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.routing.auxiliary.rules import clipped, query_of, title_of


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Who wrote Hamlet?", "Who wrote Hamlet?"),
        ("who wrote hamlet", "Who wrote hamlet"),
        ("iPhone or not?", "iPhone or not?"),
        ("Hi there! Hello, can you help me with my taxes please?", "Can you help me with my…"),
        ("Guten Tag,\n\nwie hoch war der Umsatz?", "Wie hoch war der Umsatz?"),
        ("Hello", "Hello"),
        ('## **Sales** of `2024`, by "region"', "Sales of 2024, by region"),
        ("> quoted text here\n", "Quoted text here"),
        ("See ![a chart](data:x) and [the report](https://example.com/a)", "See a chart and the report"),
        ("Summarise https://www.example.com/very/long?path=1 for me", "Summarise example.com for me"),
        ("```python\nprint(1)\n```", "Python print(1)"),
        ("What does this do?\n```python\nprint(1)\n```", "What does this do?"),
        ("Total sales. And by region. And by month.", "Total sales"),
        ("Use snake_case names, don't change __init__", "Use snake_case names, don't change init"),
        ("3.5 % of what, e.g. sales?", "3.5 % of what, e.g. sales?"),
        ("地域別の売上を教えて。月別も。", "地域別の売上を教えて"),
        ("कुल बिक्री कितनी थी?", "कुल बिक्री कितनी थी?"),
        ("***", ""),
        ("  \n ", ""),
        ("a\u202eb\x00c word", "Abc word"),
    ],
)
def test_title(question: str, title: str) -> None:
    assert title_of(question) == title


def test_a_word_that_is_too_long_is_cut() -> None:
    assert title_of("x" * 500) == "X" + "x" * 49 + "…"


@pytest.mark.parametrize("cluster", ["e\u0301", "👩\u200d💻", "❤\ufe0f"])
def test_nothing_is_cut_inside_a_character(cluster: str) -> None:
    for width in range(8):
        cut = clipped(cluster * 4, width)
        assert cut == cluster * (len(cut) // len(cluster))


@given(st.text())
def test_a_title_is_one_short_line(text: str) -> None:
    title = title_of(text)
    assert title == " ".join(title.split())
    assert len(title) <= 51 + sum(map(title.count, "\u200d\ufe0f"))
    assert not set(title) & set('"*`|“”„')


@given(st.text())
def test_a_query_is_one_line(text: str) -> None:
    query = query_of(text)
    assert query == " ".join(query.split())


def test_a_long_query_ends_after_a_word() -> None:
    assert query_of("word " * 100).endswith("word")
    assert 290 <= len(query_of("word " * 100)) <= 300
