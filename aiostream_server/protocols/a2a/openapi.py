"""What `openapi.json` says of A2A: the JSON-RPC binding, and the agent cards. The specification has the rest."""

from typing import Any, Final

from aiostream_server.protocols.a2a.card import AgentCard
from aiostream_server.protocols.json_rpc import RPC_SCHEMAS
from aiostream_server.protocols.json_schema import answer_schemas
from aiostream_server.protocols.openapi import (
    TEXT,
    Described,
    events,
    in_path,
    json_body,
    operation,
    parameter,
    refused,
    refused_as,
    response,
)

_MODEL: Final = "Its agent card: what it does, and how to ask it."


def described() -> Described:
    paths = {
        "/a2a/{model}": {"post": _call()},
        "/a2a/{model}/.well-known/agent-card.json": {"get": _card("agentCard", _MODEL, in_path("model"))},
        "/.well-known/agent-card.json": {"get": _card("serverCard", "The agent card of the server.")},
    }
    return Described(paths, {**RPC_SCHEMAS, **answer_schemas(AgentCard)})


def _call() -> dict[str, Any]:
    answered = {**json_body("RpcResponse"), **events("RpcResponse")}
    version = parameter("header", "A2A-Version", "`1.0`; without it a call is one of version 0.3.", TEXT)
    return operation(
        "callAgent",
        "A method of A2A 1.0. What is wrong with a call is told with status 200.",
        {
            "200": response("The result, or an error by its number; or a stream of results.", answered, "X-Run-Id"),
            **refused_as("RpcResponse", "400", "401", "403", "404", "408", "409", "413", "415", "429", "500", "503"),
        },
        parameters=[in_path("model"), version],
        body="RpcRequest",
    )


def _card(name: str, summary: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    answers = {
        "200": response(summary, json_body("AgentCard")),
        "304": {"description": "It is what `If-None-Match` names."},
        **refused("400", "401", "403", "404", "500"),
    }
    return operation(name, summary, answers, parameters=[*parameters])
