"""What is worth keeping of the data team between two questions.

AutoGen's state holds every message, rows and all, once for each agent that has not spoken since, and once more for
who speaks next. Two agents have models that must remember it; the others need no more than a query that waits for a
person's yes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiostream_server.teams.data.names import APPROVER, RUNNER, VALIDATOR

_MANAGER: Final = "SelectorGroupChatManager"
_BUFFER: Final = "message_buffer"
_WITHOUT_MEMORY: Final = frozenset({VALIDATOR, APPROVER})


def worth_keeping(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """A team's saved state, without what nobody will read again."""
    agents = {name: _shortened(name, agent) for name, agent in state["agent_states"].items()}
    return {**state, "agent_states": agents}


def _shortened(name: str, agent: Mapping[str, Any]) -> Mapping[str, Any]:
    if name in _WITHOUT_MEMORY:
        return {**agent, _BUFFER: []}
    waits_in = {RUNNER: _BUFFER, _MANAGER: "message_thread"}.get(name)
    return agent if waits_in is None else {**agent, waits_in: _pending(agent[waits_in])}


def _pending(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The verdict and the question to a person, where these came last."""
    return messages[-2:] if messages and messages[-1].get("type") == "HandoffMessage" else []
