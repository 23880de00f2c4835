"""What `openapi.json` says of MCP: where it is. The specification has the rest."""

from typing import Any

from aiostream_server.protocols.json_rpc import RPC_SCHEMAS
from aiostream_server.protocols.openapi import Described, events, json_body, operation, refused_as, response


def described() -> Described:
    return Described({"/mcp": {"post": _call()}}, RPC_SCHEMAS)


def _call() -> dict[str, Any]:
    answered = {**json_body("RpcResponse"), **events("RpcResponse")}
    return operation(
        "callTeams",
        "A request of the Model Context Protocol: each team is a tool.",
        {
            "200": response(
                "The result, or an error by its number; or a stream that ends with it.", answered, "X-Run-Id"
            ),
            "202": {"description": "A notification was taken."},
            **refused_as("RpcResponse", "400", "401", "403", "404", "408", "413", "415", "429", "500", "503"),
        },
        body="RpcRequest",
    )
