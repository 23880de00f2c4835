"""The rules are fast and explainable, never raise, and also choose configured teams."""

import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.routing.by_rules import classify
from aiostream_server.routing.candidates import Candidate
from tests.routing.teams import BUILT_IN, DATA, GENERAL, LEAVE


@pytest.mark.parametrize(
    ("question", "team", "reason"),
    [
        ("Which region had the highest total sales?", "data", "asks for totals of sales"),
        ("Total revenue by month", "data", "asks for totals of revenue by month"),
        ("How many customers do we have?", "data", "asks for a count of customers"),
        ("Wie hoch war der Umsatz im Mai?", "data", "asks for records of umsatz"),
        ("What is 15% of 850?", "general", "is arithmetic"),
        ("What is gross margin?", "general", "asks for an explanation"),
        ('Translate "total sales by region" into French', "general", "is a writing task"),
        ('"Which region had the highest total sales?"', "data", "asks for totals of sales"),
        ("„Wie hoch war der Umsatz im Mai?“", "data", "asks for records of umsatz"),
        ("«Total revenue by month».", "data", "asks for totals of revenue by month"),
        ("'What is 15% of 850?'", "general", "is arithmetic"),
        ('My boss asks: "How many customers do we have?"', "data", "asks for a count of customers"),
        ('Please answer this question: "What is gross margin?"', "general", "asks for an explanation"),
        ('Is "total sales by region" correct English?', "general", None),
        ("How do I write a query that sums sales by region?", "general", "asks how something is done"),
        ("How are we doing?", "data", "is about us"),
    ],
)
def test_reason_says_what_was_found(question: str, team: str, reason: str | None) -> None:
    decision = classify(question, BUILT_IN)
    assert decision.team == team
    assert reason is None or (decision.reason, decision.strategy) == (reason, "rules")


def test_words_of_the_real_schema_are_a_subject() -> None:
    """The words of the database schema extend the built-in rules to any business."""
    question = "average wingspan per aircraft"
    assert classify(question, BUILT_IN).team == "general"
    decision = classify(question, BUILT_IN, vocabulary=["aircraft", "aircraft.wingspan_m"])
    assert decision.team == "data"
    assert decision.confidence > 0.8
    assert decision.reason == "asks for totals of wingspan by aircraft"


def test_a_known_business_word_in_the_schema_makes_it_surer() -> None:
    plain = classify("show orders", BUILT_IN)
    assert classify("show orders", BUILT_IN, vocabulary=["orders"]).confidence > plain.confidence


def test_everyday_column_names_are_no_subject() -> None:
    assert classify("What is the name of this flower?", BUILT_IN, vocabulary=["people.name"]).team == "general"


@pytest.mark.parametrize("question", ["", "   ", "???", "🎉🎉🎉", "\x00\ud800", "_ _ _"])
def test_no_question_is_a_fallback_without_confidence(question: str) -> None:
    decision = classify(question, BUILT_IN)
    assert (decision.team, decision.confidence, decision.strategy) == ("general", 0.0, "fallback")


def test_unknown_words_give_an_unsure_fallback() -> None:
    decision = classify("blorp fizzle", BUILT_IN)
    assert decision.strategy == "fallback"
    assert decision.confidence < 0.6


def test_configured_team_is_found_by_its_own_words() -> None:
    decision = classify("How many days of parental leave do I get?", (*BUILT_IN, LEAVE))
    assert decision.team == "people"
    assert decision.confidence > 0.6
    assert decision.reason == "mentions days, parental, leave"


def test_configured_team_does_not_take_the_questions_of_others() -> None:
    teams = (*BUILT_IN, LEAVE)
    assert classify("Total sales by region", teams).team == "data"
    assert classify("Write a poem about the sea", teams).team == "general"


def test_a_word_that_two_teams_share_counts_less() -> None:
    garden = Candidate("garden", "", "Plants, leave moulding and compost.")
    shared = classify("leave", (GENERAL, LEAVE, garden)).confidence
    assert shared < classify("leave", (GENERAL, LEAVE)).confidence


def test_without_a_general_team_the_unknown_falls_back_to_the_first() -> None:
    decision = classify("Who wrote Hamlet?", (DATA, LEAVE))
    assert (decision.team, decision.strategy) == ("data", "fallback")
    assert decision.confidence < 0.6


def test_us_in_capitals_is_a_country() -> None:
    assert classify("Who leads the US?", BUILT_IN).team == "general"


@given(
    question=st.text() | st.text("0123456789%+-*/ how much total sales'\"?", max_size=300),
    teams=st.lists(st.sampled_from([GENERAL, DATA, LEAVE, Candidate("bare", "")]), min_size=1, unique=True),
    vocabulary=st.lists(st.text(max_size=20), max_size=5),
)
def test_any_text_gets_one_of_the_teams(question: str, teams: list[Candidate], vocabulary: list[str]) -> None:
    decision = classify(question, teams, vocabulary=vocabulary)
    assert decision.team in {team.id for team in teams}
    assert 0 <= decision.confidence <= 1
    assert decision.reason
    assert "\n" not in decision.reason


@pytest.mark.parametrize(
    ("question", "limit_s"),
    [
        ("Which region had the highest total sales last quarter?", 0.001),
        ("total sales by region, 1 + 1 " * 3500, 0.02),
        ("this year " * 10_000, 0.02),
        ("what does 'a " * 8_000, 0.02),
        ("x" * 100_000, 0.02),
        ("\ufdfa" * 100_000, 0.02),
    ],
    ids=["typical", "wordy", "repeating", "quotes", "one word", "ligatures"],
)
def test_time_is_bounded_for_any_pasted_text(question: str, limit_s: float) -> None:
    """CPU time of this thread, and the best of several, because the machine may be busy."""
    assert (
        min(timeit.repeat(lambda: classify(question, BUILT_IN), timer=time.thread_time, number=1, repeat=15)) < limit_s
    )
