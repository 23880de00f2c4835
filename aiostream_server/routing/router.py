"""The router makes and announces one decision for each question.

The strategy `rules` decides at once, `model` asks a model, and `rules-then-model` asks a model only where the rules'
confidence does not exceed the threshold. An undecided question goes to the fallback. `announce` gets one `Routing`
event, or two where a model is asked: the first comes before the call, to show the reason for the wait.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from autogen_core.models import ChatCompletionClient

from aiostream_server.config.model import RoutingConfig
from aiostream_server.errors import ConfigError, Forbidden
from aiostream_server.events.model import Routing
from aiostream_server.routing.by_model import classify_with_model
from aiostream_server.routing.by_rules import classify, is_follow_up
from aiostream_server.routing.candidates import Candidate, Decision, fallback_team
from aiostream_server.text import typed_question

SUPERVISOR: Final = "Supervisor"
_UNDECIDED: Final = Routing(agent=SUPERVISOR, content="Analysing…")
_FALLBACK_CONFIDENCE: Final = 0.0
_STAYING_CONFIDENCE: Final = 0.8
_EARLIER_QUESTIONS: Final = 4


class Router:
    """Shared by all runs; holds no state between questions. Its owner closes the model client."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        config: RoutingConfig,
        client: ChatCompletionClient | None = None,
        vocabulary: Collection[str] = (),
    ) -> None:
        """`client` is needed for every strategy but `rules`. `vocabulary` holds the databases' table and column names.

        Raises `ConfigError` for invalid settings.
        """
        self._candidates = tuple(candidates)
        self._config = config
        self._client = client
        self._vocabulary = frozenset(vocabulary)
        if problems := self._problems():
            raise ConfigError(problems)

    async def route(
        self,
        question: str,
        *,
        earlier: Sequence[str] = (),
        previous: str | None = None,
        is_reply: bool = False,
        announce: Callable[[Routing], Awaitable[object]] | None = None,
        allowed: Collection[str] | None = None,
    ) -> Decision:
        """Choose among the `allowed` team ids (None: all). Raises `Forbidden` where none is.

        `earlier` holds the user's previous questions, oldest first; `previous` is the team that answered the last of
        them, where that is known. A vague question stays with that team, and so does a reply to a question of that
        team (`is_reply`).
        """
        candidates = tuple(team for team in self._candidates if allowed is None or team.id in allowed)
        if not candidates:
            raise Forbidden("this key may not use any of the teams that 'auto' chooses from")
        decision = self._stay(question, previous, is_reply, candidates) or self._decide_at_once(
            question, earlier, candidates
        )
        if decision is None:
            if announce:
                await announce(_UNDECIDED)
            decision = await self._ask_model(question, candidates)
        if announce:
            await announce(self._event(decision))
        return decision

    def _problems(self) -> list[str]:
        ids = [candidate.id for candidate in self._candidates]
        problems = []
        if not ids:
            problems.append("[[teams]]: there is no team to route to; configure one, or leave the built-in teams in")
        if self._config.fallback is not None and self._config.fallback not in ids:
            problems.append(f"[routing] fallback: no team {self._config.fallback!r}; there are: {', '.join(ids)}")
        return problems

    def _stay(
        self, question: str, previous: str | None, is_reply: bool, candidates: tuple[Candidate, ...]
    ) -> Decision | None:
        if previous is None or len(candidates) == 1 or all(team.id != previous for team in candidates):
            return None
        if is_reply:
            return Decision(previous, 1.0, "it asked, this is the answer", "rules")
        if not is_follow_up(typed_question(question), candidates, self._vocabulary):
            return None
        return Decision(previous, _STAYING_CONFIDENCE, "goes on with the conversation", "rules")

    def _decide_at_once(
        self, question: str, earlier: Sequence[str], candidates: tuple[Candidate, ...]
    ) -> Decision | None:
        """None where the strategy asks a model."""
        if len(candidates) == 1:
            return Decision(candidates[0].id, 1.0, "the only team", "rules")
        if self._config.strategy == "model":
            return None
        decision = classify(
            typed_question(question),
            candidates,
            earlier=[typed_question(before) for before in earlier[-_EARLIER_QUESTIONS:]],
            vocabulary=self._vocabulary,
        )
        if self._config.strategy == "rules-then-model" and decision.confidence <= self._config.threshold:
            return None
        if decision.strategy == "fallback":
            return self._fall_back(candidates, decision.reason, decision.confidence)
        return decision

    async def _ask_model(self, question: str, candidates: tuple[Candidate, ...]) -> Decision:
        assert self._client is not None, "the configuration names a model for this strategy"  # noqa: S101
        decision = await classify_with_model(
            typed_question(question), candidates, self._client, timeout_s=self._config.timeout_s
        )
        return decision or self._fall_back(candidates, "the routing model gave no usable answer", _FALLBACK_CONFIDENCE)

    def _fall_back(self, candidates: tuple[Candidate, ...], reason: str, confidence: float) -> Decision:
        return Decision(fallback_team(candidates, self._config.fallback), confidence, reason, "fallback")

    def _event(self, decision: Decision) -> Routing:
        names = {candidate.id: candidate.name for candidate in self._candidates}
        return Routing(
            agent=SUPERVISOR,
            content=decision.reason,
            team=decision.team,
            team_name=names[decision.team] or decision.team,
            confidence=decision.confidence,
            strategy=decision.strategy,
        )
