"""Real clients, installed from their package index, against the server; the provider's side counts the calls."""

import asyncio
from pathlib import Path

import pytest

from tests.clients.running import NAMES, Told, run_client
from tests.kit.needs import require


@pytest.fixture(scope="module", params=NAMES)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    require("clients")
    folder: Path = tmp_path_factory.mktemp(request.param)
    return asyncio.run(run_client(request.param, folder))


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
