"""The demo model chooses a team by words, as JSON; in a team of any other kind it says what it is."""

import json

import pytest

from aiostream_server.models.demo.conversation import LABEL
from aiostream_server.models.provider import ModelRequest
from tests.models.demo import answer, ask, user

TEAMS = """\
You route questions to teams. The teams, as `- id: what it is for`:
- general: Answers questions of any kind, and calculates.
- data: Answers questions from the sales database with SQL.
- travel: Books flights and hotels.

Answer with one JSON object."""


@pytest.mark.parametrize(
    ("question", "team"),
    [
        ("Which region had the highest total sales?", "data"),
        ("What is 15% of 850?", "general"),
        ("Find me cheap flights to Rome", "travel"),
        ("Write a poem", "general"),
    ],
)
async def test_team_is_chosen_by_its_words(question: str, team: str) -> None:
    choice = json.loads((await answer(user(question), system=TEAMS)).text)
    assert choice["team"] == team
    assert 0.5 <= choice["confidence"] <= 0.95
    assert LABEL in choice["reason"]


async def test_without_a_general_team_the_first_takes_what_nothing_decides() -> None:
    system = "Choose a team:\n- sales: our sales figures\n- travel: flights"
    assert json.loads((await answer(user("Hm?"), system=system)).text)["team"] == "sales"


async def test_other_json_is_an_honest_object() -> None:
    said = await ask(ModelRequest([user("Title for this chat, please")], json_output=True))
    assert "Title for this chat" in json.loads(said.text)["answer"]


async def test_in_any_other_team_it_repeats_what_it_was_told() -> None:
    said = await answer(user("Plan my week"), system="You are a careful planner, who plans.")
    assert said.text.startswith("I can only repeat the beginning of what I was told: “Plan my week”")


async def test_a_long_message_ends_in_an_ellipsis() -> None:
    assert "word …”" in (await answer(user("word " * 200))).text


async def test_a_team_that_waits_for_a_word_gets_it() -> None:
    """Without the word such a team never ends."""
    said = await answer(user("Check this"), system="You are a critic. When all is well, respond with 'APPROVE'.")
    assert said.text.endswith("\n\nAPPROVE")
    assert not (await answer(user("Check this"), system="You are a critic.")).text.endswith("APPROVE")


async def test_nothing_said_is_told() -> None:
    assert "told nothing" in (await ask(ModelRequest([]))).text
