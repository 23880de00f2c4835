"""Streams the answer of a Magentic-One orchestrator, and nothing else of what its model writes.

The orchestrator uses one model client for its ledgers, plans, instructions and answer. Plans and instructions reach the
viewers as messages of AutoGen; ledgers are internal.
"""

from collections.abc import Sequence
from typing import Final

from autogen_agentchat.teams import MagenticOneGroupChat
from autogen_core.models import LLMMessage

from aiostream_server.models.client import StreamingClient

ORCHESTRATOR: Final = "MagenticOneOrchestrator"
"""AutoGen gives every orchestrator this name."""

_PLANNING: Final = f"{ORCHESTRATOR} (planning)"  # no agent has this name, so a run does not show its tokens


class OrchestratorClient(StreamingClient):
    """Speaks as the orchestrator when it is asked for the final answer, and is silent otherwise."""

    def __init__(self, client: StreamingClient, answer_prompt: str) -> None:
        vars(self).update(vars(client))  # the same model, label and total usage
        before, asks_with_task, after = answer_prompt.partition("{task}")
        self._begins, self._ends = (before, after) if asks_with_task else (answer_prompt, "")

    def speaker_of(self, messages: Sequence[LLMMessage]) -> str:
        return ORCHESTRATOR if self._asks_for_answer(messages) else _PLANNING

    def _asks_for_answer(self, messages: Sequence[LLMMessage]) -> bool:
        prompt = messages[-1].content if messages else None
        return isinstance(prompt, str) and prompt.startswith(self._begins) and prompt.endswith(self._ends)


def has_orchestrator(team: object) -> bool:
    return isinstance(team, MagenticOneGroupChat)


def stream_orchestrator_answer(team: object) -> None:
    """Give a Magentic-One team an `OrchestratorClient`; change no other team."""
    client = getattr(team, "_model_client", None)
    if isinstance(team, MagenticOneGroupChat) and isinstance(client, StreamingClient):
        vars(team)["_model_client"] = OrchestratorClient(client, team._final_answer_prompt)
