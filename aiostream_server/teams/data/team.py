"""Builds the data team. The types of the last messages decide who speaks next; no model does."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from autogen_agentchat.base import ChatAgent, Team
from autogen_agentchat.conditions import HandoffTermination, MaxMessageTermination, TextMessageTermination
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams import SelectorGroupChat
from pydantic import BaseModel, ConfigDict, PositiveInt

from aiostream_server.teams.context import TeamContext
from aiostream_server.teams.data.analyst import Analyst
from aiostream_server.teams.data.approval import QueryApprover, find_reply
from aiostream_server.teams.data.drafter import SqlDrafter
from aiostream_server.teams.data.guarded_queries import QueryRunner, SqlValidator
from aiostream_server.teams.data.messages import (
    ANALYST,
    APPROVER,
    DRAFTER,
    RUNNER,
    VALIDATOR,
    LatestRows,
    QueryDraft,
    QueryOutcome,
    Verdict,
)
from aiostream_server.teams.resume import USER
from aiostream_server.tools.chart import can_draw

_MESSAGES_PER_ATTEMPT: Final = 12
_MANAGER: Final = "SelectorGroupChatManager"
_BUFFER: Final = "message_buffer"


class DataTeamSettings(BaseModel):
    """The team's `settings` table in the config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: PositiveInt = 3
    opinion_model: str | None = None
    ask_first: bool = False
    charts: bool = True


class DataTeam(SelectorGroupChat):
    """A group chat that saves only what a later question needs.

    AutoGen's state holds every message, rows included, several times: in the manager's thread and in the buffer of each
    agent that has not spoken since. Here two agents have models that must remember them. The others need no more than
    a query that waits for the user's yes.
    """

    async def save_state(self) -> Mapping[str, Any]:
        state = await super().save_state()
        return {**state, "agent_states": {name: _pruned(name, each) for name, each in state["agent_states"].items()}}


def _pruned(name: str, agent: Mapping[str, Any]) -> Mapping[str, Any]:
    if name in (VALIDATOR, APPROVER):
        return {**agent, _BUFFER: []}
    key = {RUNNER: _BUFFER, _MANAGER: "message_thread"}.get(name)
    if key is None:
        return agent
    messages: Sequence[Mapping[str, Any]] = agent[key]
    asks_user = bool(messages) and messages[-1].get("type") == "HandoffMessage"
    return {**agent, key: messages[-2:] if asks_user else []}  # the verdict, and the question to the user


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
        SqlDrafter(DRAFTER, model_client=model, databases=databases, draws=draws),
        SqlValidator(VALIDATOR, databases=databases, opinion_client=opinion_client),
        QueryRunner(RUNNER, databases=databases, asks_first=settings.ask_first, latest=latest),
        Analyst(ANALYST, model_client=model, latest=latest, draws=draws),
    ]
    ends = TextMessageTermination(ANALYST) | MaxMessageTermination(_MESSAGES_PER_ATTEMPT * (settings.max_attempts + 1))
    if settings.ask_first:
        agents.append(QueryApprover(APPROVER))
        ends = ends | TextMessageTermination(APPROVER) | HandoffTermination(USER)
    return DataTeam(
        agents,
        model_client=model,
        selector_func=partial(choose_speaker, max_attempts=settings.max_attempts, ask_first=settings.ask_first),
        allow_repeated_speaker=True,
        termination_condition=ends,
        custom_message_types=[QueryDraft, Verdict, QueryOutcome],
    )


def choose_speaker(
    thread: Sequence[BaseAgentEvent | BaseChatMessage], *, max_attempts: int, ask_first: bool = False
) -> str:
    """Draft -> verdict -> rows -> answer; back to the draft while there are attempts left.

    With `ask_first`: draft -> verdict -> question to the user; and the user's yes -> rows -> answer.
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
            answered = find_reply(thread) if ask_first else None
            return DRAFTER if answered is None else {"yes": RUNNER, "no": APPROVER, "other": DRAFTER}[answered[1]]
