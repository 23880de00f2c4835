"""Teams as the tools of MCP: https://modelcontextprotocol.io/specification/2026-07-28/server/tools"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from aiostream_server import __version__
from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.body import Shape, first_problem
from aiostream_server.intake.conversation import ConversationName
from aiostream_server.protocols.mcp.versions import SUPPORTED, negotiated

_SERVER: Final = {"name": "aiostream_server", "title": "Teams of agents", "version": __version__}
_CAPABILITIES: Final[dict[str, Any]] = {"tools": {}}
_INSTRUCTIONS: Final = (
    "Each tool is a team of agents, which works on a question by itself and may take minutes. "
    "An answer ends with the name of its conversation: pass it to go on in it."
)
_LIST_TTL_MS: Final = 60_000
_QUESTION: Final = "The question or task, with all that the team must know: it sees nothing else."
_CONVERSATION: Final = "Where an earlier answer of this tool named one: goes on in it. Leave it out to begin anew."
_INPUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "minLength": 1, "description": _QUESTION},
        "conversation": {"type": "string", "minLength": 1, "maxLength": 255, "description": _CONVERSATION},
    },
    "required": ["question"],
}
_REPLY: Final = "reply"
_OUTPUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "answer": {"type": "string"},
        "conversation": {"type": "string"},
        "waits_for_reply": {"type": "boolean", "description": "The answer is a question to you."},
        "finish_reason": {"type": "string"},
        "usage": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "required": ["answer", "conversation", "waits_for_reply", "finish_reason"],
}


@dataclass(frozen=True, slots=True)
class TeamTool:
    """A team as a tool is described."""

    id: str
    name: str
    description: str
    examples: Sequence[str]


class Arguments(Shape):
    """The arguments of a call."""

    question: str
    conversation: ConversationName | None = None


def read_arguments(arguments: object) -> Arguments:
    """Raises `InvalidRequest` with what a model can mend."""
    try:
        read = Arguments.model_validate({} if arguments is None else arguments)
    except ValidationError as exc:
        raise first_problem(exc) from exc
    if not read.question.strip():
        raise InvalidRequest("question: must not be empty", param="question")
    return read


def read_reply(responses: object, state: object) -> Arguments | None:
    """What the user answers to the team's question in the conversation `state`; None where there is no answer. Raises
    `InvalidRequest`."""
    given = responses.get(_REPLY) if isinstance(responses, dict) else None
    match given:
        case {"action": "accept", "content": {"reply": str() as reply}}:
            return read_arguments({"question": reply, "conversation": state})
        case {"action": "decline" | "cancel"}:
            return None
    problem = "expected {'reply': {'action': 'accept', 'content': {'reply': ...}}}, or another action"
    raise InvalidRequest(f"inputResponses: {problem}", param="inputResponses")


def input_required(question: str, conversation: str, *, is_approval: bool) -> dict[str, Any]:
    """The result of a call where the team asks the user: the client asks, and calls again with what `read_reply` reads.

    https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation
    """
    reply: dict[str, Any] = {"type": "string", "title": "Reply"}
    if is_approval:
        reply["enum"] = ["yes", "no"]
    schema = {"type": "object", "properties": {"reply": reply}, "required": ["reply"]}
    params = {"mode": "form", "message": question, "requestedSchema": schema}
    return {
        "resultType": "input_required",
        "inputRequests": {_REPLY: {"method": "elicitation/create", "params": params}},
        "requestState": conversation,
        "_meta": {"io.modelcontextprotocol/serverInfo": _SERVER},
    }


def initialized(params: Mapping[str, object]) -> dict[str, Any]:
    """The answer to `initialize`."""
    return {
        "protocolVersion": negotiated(params.get("protocolVersion")),
        "capabilities": _CAPABILITIES,
        "serverInfo": _SERVER,
        "instructions": _INSTRUCTIONS,
    }


def discovered() -> dict[str, Any]:
    """The answer to `server/discover`."""
    return modern({"supportedVersions": list(SUPPORTED), "capabilities": _CAPABILITIES, "instructions": _INSTRUCTIONS})


def listed(teams: Iterable[TeamTool], *, is_modern: bool) -> dict[str, Any]:
    """The answer to `tools/list`."""
    tools = {"tools": [_tool(team) for team in teams]}
    return modern(tools) if is_modern else tools


def modern(result: dict[str, Any], *, is_cacheable: bool = True) -> dict[str, Any]:
    """Add what every result has since the protocol's version 2026-07-28."""
    cached = {"ttlMs": _LIST_TTL_MS, "cacheScope": "private"} if is_cacheable else {}
    return {"resultType": "complete", **result, **cached, "_meta": {"io.modelcontextprotocol/serverInfo": _SERVER}}


def _tool(team: TeamTool) -> dict[str, Any]:
    about = team.description or team.name
    if team.examples:
        about += " For example: " + "; ".join(json.dumps(example, ensure_ascii=False) for example in team.examples)
    return {
        "name": team.id,
        "title": team.name,
        "description": about,
        "inputSchema": _INPUT,
        "outputSchema": _OUTPUT,
    }
