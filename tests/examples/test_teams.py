"""Each example is served, asked, and says what the documentation shows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.examples.serving import DOC, ROOT, answers, documented
from tests.examples.telling import OTHERS, STORIES

WHO_ANSWERS = {
    "round-robin": "Still warm when you get home.",
    "selector": "- Hamlet, row 4, seats 11 and 12\n- the train to Bath at 18:32",
    "swarm": "I am sorry. What is the order's number?",
    "graph": "**Why the sea is salty**",
    "magentic": "The Danube is 1,617 km longer than the Rhine.",
    "society": "Do not move yet. Rent a few desks there, and see who comes.",
    "person": "Dear all, on Friday at noon we meet in the park. Bring a blanket. See you there!",
    "agents-as-tools": "Soup, trout and pears; and with the wine: to those who came, and stay!",
    "structured": "| day | what | kind | euros |",
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


async def test_the_documentation_shows_what_they_say_and_nothing_is_said_twice(state: Path) -> None:
    said = await answers(state)
    document = DOC.read_text("utf-8")
    assert documented(document, said) == document, "run `python -m tests.examples`"
    for team, texts in said.items():
        for words in _words_of_agents(team):
            times = sum(other.count(words) for other in _words_of_agents(team))
            assert "\n".join(texts).count(words) == times, f"{team}: {words}"


def _words_of_agents(team: str) -> Iterator[str]:
    for name, replies in STORIES[team].said.items():
        for reply in replies if name != OTHERS else ():
            text = "".join(step for step in reply.steps if isinstance(step, str)).strip()
            if text and not text.startswith("{"):
                yield text


async def test_clients_that_want_the_answer_alone_get_it(state: Path) -> None:
    said: Mapping[str, Sequence[str]] = await answers(state, presentation="answer")
    for team, answer in WHO_ANSWERS.items():
        assert answer in said[team][0], team
        assert "**" not in said[team][0].replace("**Why the sea is salty**", ""), f"{team}: a heading"
    assert said["person"][-1].endswith("There is cake. See you there!")


def test_every_example_has_a_story_and_a_place_in_the_documentation() -> None:
    files = sorted((ROOT / "examples" / "teams").glob("*.py"))
    assert {file.stem.replace("_", "-") for file in files} == STORIES.keys()
    assert all(f"(../examples/teams/{file.name})" in DOC.read_text("utf-8") for file in files)
    assert all(len(file.read_text("utf-8").splitlines()) <= 70 for file in files), "an example is short"
