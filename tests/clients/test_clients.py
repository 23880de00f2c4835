"""Real clients, installed from their package index, against the server; the provider's side counts the calls.

Most of those that speak Responses run what they are shown as a call of a tool. None is shown those of the team.
"""

import asyncio
from collections.abc import Callable
from functools import cache

import pytest

from tests.clients.running import FAILURES, NAMES, REGION, RESPONDING, Told, run_client
from tests.kit.needs import require

Ran = Callable[[str], tuple[Told, Told]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """What a client was told over chat completions, and over Responses."""
    require("clients")

    @cache
    def run(name: str) -> tuple[Told, Told]:
        return asyncio.run(run_client(name, tmp_path_factory.mktemp(name)))

    return run


@pytest.fixture(scope="module", params=NAMES)
def told(request: pytest.FixtureRequest, ran: Ran) -> Told:
    return ran(request.param)[0]


@pytest.fixture(scope="module", params=RESPONDING)
def responded(request: pytest.FixtureRequest, ran: Ran) -> Told:
    return ran(request.param)[1]


def test_a_whole_answer(told: Told) -> None:
    assert told.outcomes["whole"] == {"text": "Hello.", "finish": "stop", "tokens": 18}
    assert told.calls["whole"] == 1


def test_a_stream_comes_in_pieces(told: Told) -> None:
    outcome = told.outcomes["stream"]
    assert (outcome.get("text"), outcome.get("finish")) == ("Hello.", "stop"), outcome
    assert outcome["pieces"] >= 2
    assert told.calls["stream"] == 1


def test_a_cancelled_stream_ends_the_call_of_the_provider(told: Told) -> None:
    assert told.outcomes["cancel"] == {"text": "one "}
    assert told.calls["cancel"] == 1
    assert told.provider_saw_cancel


@pytest.mark.parametrize(("scenario", "calls"), [("broken_stream", 3), ("broken_off", 1)])
def test_a_stream_that_fails_raises_and_is_not_asked_for_again(told: Told, scenario: str, calls: int) -> None:
    """Three calls are the server's own tries."""
    assert told.outcomes[scenario].get("raised"), told.outcomes[scenario]
    assert told.calls[scenario] == calls


def test_every_way_to_a_typed_answer_gives_the_object(told: Told) -> None:
    """One call is the team's, one puts its answer into the form."""
    ways = {name: outcome for name, outcome in told.outcomes.items() if name.startswith("typed")}
    assert ways == {name: {"typed": REGION} for name in ways}
    assert {name: told.calls[name] for name in ways} == dict.fromkeys(ways, 2)
    assert "typed" in ways


def test_tools_of_the_client_run_in_its_own_loop(told: Told) -> None:
    """Two are called at once; one call of the model asks for them, one answers with their results."""
    assert told.outcomes["tools"] == {"text": "It is rain and rain.", "ran": ["Oslo", "Rome"]}
    assert told.calls["tools"] == 2
    if (both := told.outcomes.get("tools_and_typed")) is not None:
        assert both == {"typed": REGION, "ran": ["Oslo", "Rome"]}
        assert told.calls["tools_and_typed"] == 2, "the agent itself calls what the request forces"


def test_a_form_that_cannot_be_met_is_an_error_with_the_reason(told: Told) -> None:
    outcome = told.outcomes["never_typed"]
    assert outcome.get("status") == 422, outcome
    assert "it is not JSON: Hello." in outcome["said"]
    assert told.calls["never_typed"] == 3, "the team's, and two tries to put its answer into the form"


@pytest.mark.parametrize(
    ("scenario", "status", "calls"),
    [("broken", 502, 3), ("limited", 429, 3), ("no_credit", 429, 1), ("refused", 502, 1), ("too_long", 400, 1)],
)
def test_a_failing_call_costs_no_more_than_the_servers_own_tries(
    told: Told, scenario: str, status: int, calls: int
) -> None:
    """Most clients repeat a failure twice, and each repetition would be a run of the whole team."""
    assert set(FAILURES) == {"broken", "limited", "no_credit", "refused", "too_long"}
    assert told.outcomes[scenario].get("status") == status, told.outcomes[scenario]
    assert told.calls[scenario] == calls


def scenarios(told: Told, name: str) -> list[str]:
    """A program may speak for two clients."""
    return [each for each in told.outcomes if each.removeprefix("framework_") == name]


class TestResponses:
    def test_a_whole_answer(self, responded: Told) -> None:
        for name in scenarios(responded, "whole"):
            assert responded.outcomes[name] == {"text": "Hello.", "tokens": 18}
            assert responded.calls[name] == 1

    def test_a_stream_comes_in_pieces(self, responded: Told) -> None:
        for name in scenarios(responded, "stream"):
            outcome = responded.outcomes[name]
            assert outcome.get("text") == "Hello.", outcome
            assert outcome["pieces"] >= 2
            assert responded.calls[name] == 1

    def test_the_teams_own_tool_is_not_run_by_the_client(self, responded: Told) -> None:
        """Two calls are the team's: one that calls the tool, one that answers."""
        for name in scenarios(responded, "own_tool"):
            assert responded.outcomes[name] == {"text": "Rain."}
            assert responded.calls[name] == 2

    def test_the_second_question_continues_the_first(self, responded: Told) -> None:
        """By the response's id, by the ids of items, or with the items sent back: whatever the client does."""
        for name in scenarios(responded, "chain"):
            assert responded.outcomes[name] == {"text": "Asked 2 times."}
            assert responded.calls[name] == 2

    def test_the_client_runs_its_own_tool(self, responded: Told) -> None:
        for name in scenarios(responded, "client_tool"):
            assert responded.outcomes[name] == {"text": "It is 4.", "ran": [[2, 2]]}
            assert responded.calls[name] == 2

    def test_a_response_in_the_background_is_resumed(self, responded: Told) -> None:
        for name in scenarios(responded, "background"):
            assert responded.outcomes[name] == {"text": "Hello."}
            assert responded.calls[name] == 1

    def test_a_failing_call_costs_no_more_than_the_servers_own_tries(self, responded: Told) -> None:
        outcome = responded.outcomes["limited"]
        assert outcome.get("raised"), outcome
        assert responded.calls["limited"] == 3

    def test_every_event_is_one_of_the_specification(self, responded: Told) -> None:
        for name in scenarios(responded, "specification"):
            assert responded.outcomes[name] == {"accepted": True}
