"""Real clients of OpenAI's Responses against the server; the provider's side counts the calls.

Most of them run what they are shown as a call of a tool. None is shown those of the team.
"""

import asyncio
from pathlib import Path

import pytest

from tests.clients.running import RESPONDING, Told, run_responding
from tests.kit.needs import require


@pytest.fixture(scope="module", params=RESPONDING)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    require("clients")
    folder: Path = tmp_path_factory.mktemp(request.param)
    return asyncio.run(run_responding(request.param, folder))


def scenarios(told: Told, name: str) -> list[str]:
    """A program may speak for two clients."""
    return [each for each in told.outcomes if each.removeprefix("framework_") == name]


def test_a_whole_answer(told: Told) -> None:
    for name in scenarios(told, "whole"):
        assert told.outcomes[name] == {"text": "Hello.", "tokens": 18}
        assert told.calls[name] == 1


def test_a_stream_comes_in_pieces(told: Told) -> None:
    for name in scenarios(told, "stream"):
        outcome = told.outcomes[name]
        assert outcome.get("text") == "Hello.", outcome
        assert outcome["pieces"] >= 2
        assert told.calls[name] == 1


def test_the_teams_own_tool_is_not_run_by_the_client(told: Told) -> None:
    """Two calls are the team's: one that calls the tool, one that answers."""
    for name in scenarios(told, "own_tool"):
        assert told.outcomes[name] == {"text": "Rain."}
        assert told.calls[name] == 2


def test_the_second_question_continues_the_first(told: Told) -> None:
    """By the response's id, by the ids of items, or with the items sent back: whatever the client does."""
    for name in scenarios(told, "chain"):
        assert told.outcomes[name] == {"text": "Asked 2 times."}
        assert told.calls[name] == 2


def test_the_client_runs_its_own_tool(told: Told) -> None:
    for name in scenarios(told, "client_tool"):
        assert told.outcomes[name] == {"text": "It is 4.", "ran": [[2, 2]]}
        assert told.calls[name] == 2


def test_a_response_in_the_background_is_resumed(told: Told) -> None:
    for name in scenarios(told, "background"):
        assert told.outcomes[name] == {"text": "Hello."}
        assert told.calls[name] == 1


def test_a_failing_call_costs_no_more_than_the_servers_own_tries(told: Told) -> None:
    outcome = told.outcomes["limited"]
    assert outcome.get("raised"), outcome
    assert told.calls["limited"] == 3


def test_every_event_is_one_of_the_specification(told: Told) -> None:
    for name in scenarios(told, "specification"):
        assert told.outcomes[name] == {"accepted": True}
