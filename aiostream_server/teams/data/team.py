"""Who speaks when: decided by the types of the last messages, never by a model."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from autogen_agentchat.base import ChatAgent, Team
from autogen_agentchat.conditions import HandoffTermination, MaxMessageTermination, TextMessageTermination
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams import SelectorGroupChat
from pydantic import BaseModel, ConfigDict, PositiveInt

from aiostream_server.teams.context import TeamContext
from aiostream_server.teams.data.analyst import Analyst
from aiostream_server.teams.data.approver import QueryApprover
from aiostream_server.teams.data.consent import find_reply
from aiostream_server.teams.data.drafter import SqlDrafter
from aiostream_server.teams.data.keeping import worth_keeping
from aiostream_server.teams.data.latest import LatestRows
from aiostream_server.teams.data.messages import QueryDraft, QueryOutcome, Verdict
from aiostream_server.teams.data.names import ANALYST, APPROVER, DRAFTER, RUNNER, VALIDATOR
from aiostream_server.teams.data.runner import QueryRunner
from aiostream_server.teams.data.validator import SqlValidator
from aiostream_server.teams.resume import USER
from aiostream_server.tools.chart import can_draw

_MESSAGES_PER_ATTEMPT: Final = 12


class DataTeamSettings(BaseModel):
    """The team's `settings` table in the config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: PositiveInt = 3
    opinion_model: str | None = None
    ask_first: bool = False
    charts: bool = True


class DataTeam(SelectorGroupChat):
    """A group chat whose state holds what a later question needs, and no more."""

    async def save_state(self) -> Mapping[str, Any]:
        return worth_keeping(await super().save_state())


def build(context: TeamContext) -> DataTeam:
    """A fresh team over the context's databases."""
    settings = DataTeamSettings.model_validate(dict(context.settings))
    databases = context.databases
    if not databases:
        raise ValueError("the data-analysis team needs at least one database")
    opinion_client = None if settings.opinion_model is None else context.model(settings.opinion_model)
    model, latest = context.model(), LatestRows()
    draws = settings.charts and can_draw() and model.model_info["function_calling"]
    agents: list[ChatAgent | Team] = [
        SqlDrafter(DRAFTER, model_client=model, databases=databases),
        SqlValidator(VALIDATOR, databases=databases, opinion_client=opinion_client),
        QueryRunner(RUNNER, databases=databases, asks_first=settings.ask_first, latest=latest),
        Analyst(ANALYST, model_client=model, latest=latest, draws=draws),
    ]
    ends = TextMessageTermination(ANALYST) | MaxMessageTermination(_MESSAGES_PER_ATTEMPT * (settings.max_attempts + 1))
    if settings.ask_first:
        agents.append(QueryApprover(APPROVER))
        ends = ends | TextMessageTermination(APPROVER) | HandoffTermination(USER)

    def next_speaker(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
        return choose_speaker(messages, max_attempts=settings.max_attempts, ask_first=settings.ask_first)

    return DataTeam(
        agents,
        model_client=model,
        selector_func=next_speaker,
        allow_repeated_speaker=True,
        termination_condition=ends,
        custom_message_types=[QueryDraft, Verdict, QueryOutcome],
    )


def choose_speaker(
    thread: Sequence[BaseAgentEvent | BaseChatMessage], *, max_attempts: int, ask_first: bool = False
) -> str:
    """Draft -> verdict -> rows -> answer; back to the draft while there are attempts left.

    `ask_first`: draft -> verdict -> question to the user; and their yes -> rows -> answer.
    """
    last = thread[-1]
    match last:
        case QueryDraft():
            return VALIDATOR
        case Verdict(approved=True):
            return APPROVER if ask_first else RUNNER
        case Verdict() | QueryOutcome(failed=True):
            return DRAFTER if last.attempt < max_attempts else ANALYST
        case QueryOutcome():
            return ANALYST
        case _ if last.source == DRAFTER:
            return ANALYST
        case _:
            return _answerer(thread) if ask_first else DRAFTER


def _answerer(thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
    """Who takes up what the user says."""
    match find_reply(thread):
        case (_, "yes"):
            return RUNNER
        case (_, "no"):
            return APPROVER
        case _:
            return DRAFTER
