"""Tools with names and schemas as MCP servers have them are taken by every vendor, and each is called by its own name.

The vendors' classes name the sources of their rules.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken
from autogen_core.tools import BaseTool, ToolSchema
from pydantic import BaseModel, ConfigDict

from aiostream_server.teams.context import TeamContext
from tests.kit.serving import ask, serving
from tests.zoo import rules
from tests.zoo.matrix import ZOO, config_of
from tests.zoo.mind import Mind, Said
from tests.zoo.vendor import Vendor
from tests.zoo.vendor_server import VendorServer

TEAM: Final = '[[teams]]\nid = "foreign"\nfactory = "tests.zoo.test_foreign_tools:build"\n'
SCHEMAS: Final[Mapping[str, Mapping[str, Any]]] = {
    "pages.delete_draft": {"type": "object", "properties": {}},
    "pages_delete_draft": {"type": "object", "properties": {}, "$schema": "http://json-schema.org/draft-07/schema#"},
    "1st page/of all": {"type": "object"},
    "p" * 80: {"type": "object", "properties": {"rows": {"type": "array"}}},
    "p" * 80 + "q": {"type": "object", "properties": {"kind": {"const": "draft"}, "size": {"enum": [1, 2]}}},
    "tree": {
        "type": "object",
        "properties": {
            "node": {"$ref": "#/$defs/Node"},
            "mode": {"type": ["string", "null"]},
            "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            "all": {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}]},
            "when": {"type": "string", "format": "duration"},
            "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]},
            "anything": True,
        },
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    },
}


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Foreign(BaseTool[_Arguments, Any]):
    """Tells its own name."""

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        super().__init__(_Arguments, str, name, f"This is {name}.")
        self._parameters = parameters

    @property
    def schema(self) -> ToolSchema:
        return ToolSchema(name=self.name, description=self.description, parameters=dict(self._parameters))  # type: ignore[typeddict-item]

    async def run(self, args: _Arguments, cancellation_token: CancellationToken) -> str:
        return f"{self.name} was called."


def build(context: TeamContext) -> AssistantAgent:
    """One agent with all of these tools."""
    tools = [_Foreign(name, parameters) for name, parameters in SCHEMAS.items()]
    return AssistantAgent("Helper", context.model(), tools=list(tools), max_tool_iterations=3)


class CallingMind(Mind):
    """Calls each tool that it is offered, known by its description, and then says what came of it."""

    def answer(self, body: Mapping[str, Any]) -> Said:
        results = [rules.text_of(message) for message in body["messages"] if message["role"] == "tool"]
        if results:
            return Said(" ".join(results), "All are called.")
        offered = {tool["function"]["description"]: tool["function"]["name"] for tool in body["tools"]}
        return Said("", "I call each.", [(offered[f"This is {name}."], json.dumps({})) for name in SCHEMAS])


@pytest.mark.parametrize("vendor", ZOO, ids=lambda vendor: vendor.__name__)
async def test_each_tool_is_offered_and_called_by_a_name_of_its_own(tmp_path: Path, vendor: type[Vendor]) -> None:
    mind = CallingMind()
    async with VendorServer(vendor(), mind, streams=True) as provider:
        config = config_of(vendor, provider.origin, tmp_path, teams=TEAM)
        async with serving(config, tmp_path) as server:
            answer = await ask(server.url, "Call all.", model="foreign")
        refused = [exchange.refused for exchange in provider.exchanges if exchange.refused]
    assert answer.errors == [], refused
    assert [text for text in refused if "tool" in text or "schema" in text] == []
    missing: Sequence[str] = [name for name in SCHEMAS if f"{name} was called." not in answer.text]
    assert missing == [], answer.text
