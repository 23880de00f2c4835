"""The router makes and announces one decision for each question."""

import pytest
from autogen_ext.models.replay import ReplayChatCompletionClient
from structlog.testing import capture_logs

from aiostream_server.config.model import RoutingConfig
from aiostream_server.errors import ConfigError, Forbidden
from aiostream_server.events.model import Routing
from aiostream_server.routing.candidates import Candidate, Decision
from aiostream_server.routing.router import Router
from tests.routing.teams import BUILT_IN, DATA, LEAVE

_PEOPLE = '{"team": "people", "confidence": 0.8, "reason": "about leave"}'
_CLEAR = "What were our total sales by region last year?"
_UNCLEAR = "blorp fizzle"
_TEAMS = (*BUILT_IN, LEAVE)


class _Announced(list[Routing]):
    async def note(self, event: Routing) -> None:
        self.append(event)


async def test_rules_decide_at_once() -> None:
    announced = _Announced()
    decision = await Router(_TEAMS, RoutingConfig()).route(_CLEAR, announce=announced.note)
    assert decision.team == "data"
    assert announced == [
        Routing(
            agent="Supervisor",
            content="asks for totals of sales by region",
            team="data",
            team_name="Data analysis",
            confidence=decision.confidence,
            strategy="rules",
        )
    ]


async def test_model_is_announced_before_it_is_asked() -> None:
    announced = _Announced()
    router = Router(_TEAMS, RoutingConfig(strategy="model"), ReplayChatCompletionClient([_PEOPLE]))
    decision = await router.route(_CLEAR, announce=announced.note)
    assert decision == Decision("people", 0.8, "about leave", "model")
    assert announced == [
        Routing("Supervisor", "Analysing…"),
        Routing("Supervisor", "about leave", "people", "People team", 0.8, "model"),
    ]


async def test_sure_rules_need_no_model() -> None:
    client = ReplayChatCompletionClient([_PEOPLE])
    decision = await Router(_TEAMS, RoutingConfig(strategy="rules-then-model"), client).route(_CLEAR)
    assert (decision.team, decision.strategy, client.create_calls) == ("data", "rules", [])


async def test_unsure_rules_ask_the_model() -> None:
    client = ReplayChatCompletionClient([_PEOPLE])
    decision = await Router(_TEAMS, RoutingConfig(strategy="rules-then-model"), client).route(_UNCLEAR)
    assert (decision.team, decision.strategy) == ("people", "model")


@pytest.mark.parametrize(
    ("fallback", "teams", "expected"),
    [(None, _TEAMS, "general"), ("people", _TEAMS, "people"), (None, (LEAVE, DATA), "people")],
)
@pytest.mark.parametrize("answers", [[], ["nonsense"]])
async def test_failing_model_falls_back(
    answers: list[str], fallback: str | None, teams: tuple[Candidate, ...], expected: str
) -> None:
    router = Router(teams, RoutingConfig(strategy="model", fallback=fallback), ReplayChatCompletionClient(answers))
    with capture_logs():
        decision = await router.route(_CLEAR)
    assert (decision.team, decision.strategy, decision.confidence) == (expected, "fallback", 0.0)


async def test_rules_that_know_nothing_fall_back_as_configured() -> None:
    decision = await Router(_TEAMS, RoutingConfig(fallback="people")).route("")
    assert (decision.team, decision.strategy) == ("people", "fallback")


@pytest.mark.parametrize("strategy", ["rules", "model"])
async def test_single_team_needs_no_decision(strategy: str) -> None:
    client = ReplayChatCompletionClient([])
    router = Router([LEAVE], RoutingConfig.model_validate({"strategy": strategy}), client)
    assert await router.route(_CLEAR) == Decision("people", 1.0, "the only team", "rules")


async def test_only_allowed_teams_are_chosen() -> None:
    router = Router(_TEAMS, RoutingConfig())
    assert (await router.route(_CLEAR, allowed={"general", "people"})).team == "general"
    assert (await router.route(_CLEAR, allowed=["people"])).reason == "the only team"
    with pytest.raises(Forbidden, match="may not use any"):
        await router.route(_CLEAR, allowed=[])


async def test_vocabulary_reaches_the_rules() -> None:
    question = "average wingspan per aircraft"
    assert (await Router(BUILT_IN, RoutingConfig(), vocabulary=["aircraft", "wingspan"]).route(question)).team == "data"


async def test_retrieved_documents_do_not_route() -> None:
    wrapped = (
        "### Task:\nRespond to the user query using the provided context.\n"
        "<context>Write a poem about Hamlet.</context>\n" + _CLEAR
    )
    assert (await Router(BUILT_IN, RoutingConfig()).route(wrapped)).team == "data"


async def test_unnamed_team_is_announced_by_its_id() -> None:
    announced = _Announced()
    await Router([Candidate("bare", "")], RoutingConfig()).route("hi", announce=announced.note)
    assert announced[0].team_name == "bare"


def test_an_unknown_fallback_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="fallback: no team 'missing'; there are: general, data"):
        Router(BUILT_IN, RoutingConfig(fallback="missing"))


def test_no_team_at_all_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="no team to route to"):
        Router([], RoutingConfig())
