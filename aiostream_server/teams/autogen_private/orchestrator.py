"""Streams the answer of a Magentic-One orchestrator, and nothing else of what its model writes.

The orchestrator uses one model client for its ledgers, plans, instructions and answer. Plans and instructions reach the
viewers as messages of AutoGen; ledgers are internal.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from autogen_agentchat.teams import MagenticOneGroupChat
from autogen_core import CancellationToken
from autogen_core.models import CreateResult, LLMMessage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from aiostream_server.models.client import StreamingClient

ORCHESTRATOR: Final = "MagenticOneOrchestrator"
"""AutoGen gives every orchestrator this name."""

_PLANNING: Final = f"{ORCHESTRATOR} (planning)"  # no agent has this name, so a run does not show its tokens


class OrchestratorClient(StreamingClient):
    """Speaks as the orchestrator when it is asked for the final answer, and is silent otherwise."""

    def __init__(self, client: StreamingClient, answer_prompt: str) -> None:
        vars(self).update(vars(client))  # the same model, label and total usage
        self._answering = client.speaking_as(ORCHESTRATOR)
        self._planning = client.speaking_as(_PLANNING)
        before, asks_with_task, after = answer_prompt.partition("{task}")
        self._begins, self._ends = (before, after) if asks_with_task else (answer_prompt, "")

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        client = self._answering if self._asks_for_answer(messages) else self._planning
        return await client.create(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )

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
