"""A vague question goes to the team that the conversation is with."""

import pytest
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.config.model import RoutingConfig
from aiostream_server.routing.candidates import Candidate
from aiostream_server.routing.router import Router

TEAMS = [Candidate("general", "General assistant"), Candidate("data", "Data analysis")]
ABOUT_DATA = "Which region had the highest total sales?"


@pytest.mark.parametrize(
    "question", ["And the lowest?", "and per country?", "What about the north?", "the same for last year", "why?"]
)
async def test_a_follow_up_stays_with_the_team(question: str) -> None:
    decision = await Router(TEAMS, RoutingConfig()).route(question, earlier=["hello", ABOUT_DATA])
    assert decision.team == "data"


async def test_a_follow_up_of_a_follow_up_stays_with_the_team() -> None:
    earlier = [ABOUT_DATA, "And the lowest?", "and the second?"]
    assert (await Router(TEAMS, RoutingConfig()).route("and now?", earlier=earlier)).team == "data"


@pytest.mark.parametrize(
    "question", ["Write a poem about the sea", "What is 15% of 850?", "thanks!", "How do I say that in French?"]
)
async def test_a_question_of_its_own_goes_its_own_way(question: str) -> None:
    decision = await Router(TEAMS, RoutingConfig()).route(question, earlier=[ABOUT_DATA])
    assert decision.team == "general"


@pytest.mark.parametrize("strategy", ["rules", "rules-then-model", "model"])
async def test_a_follow_up_stays_with_the_last_team_under_every_strategy(strategy: str) -> None:
    teams = [*TEAMS, Candidate("law", "Law", "Contracts and courts")]
    model = ReplayChatCompletionClient([])  # it has no answer, so asking it fails
    router = Router(teams, RoutingConfig.model_validate({"strategy": strategy}), model)
    decision = await router.route("and by month?", earlier=["hello"], previous="law")
    assert (decision.team, decision.strategy) == ("law", "rules")


@pytest.mark.parametrize("previous", ["law", None])
async def test_a_follow_up_leaves_a_team_that_is_not_allowed_any_more(previous: str | None) -> None:
    decision = await Router(TEAMS, RoutingConfig()).route("and by month?", earlier=[ABOUT_DATA], previous=previous)
    assert decision.team == "data"


async def test_a_question_of_its_own_leaves_the_team_that_answered_last() -> None:
    decision = await Router(TEAMS, RoutingConfig()).route(ABOUT_DATA, earlier=["hello"], previous="general")
    assert decision.team == "data"


async def test_a_conversation_about_nothing_in_particular_stays_general() -> None:
    decision = await Router(TEAMS, RoutingConfig()).route("and then?", earlier=["hello", "tell me more"])
    assert decision.team == "general"
