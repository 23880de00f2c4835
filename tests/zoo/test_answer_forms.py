"""Clients that ask for JSON, or force a call of their tool, get it from a team with the models of every vendor.

The last call, which puts the team's answer into the form, is one more request that a strict vendor has to take.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.kit.serving import chat_body, serving
from tests.zoo import rules
from tests.zoo.matrix import ZOO, config_of
from tests.zoo.mind import Mind, Said, questions
from tests.zoo.vendor import Vendor
from tests.zoo.vendor_server import VendorServer

SLOGAN: Final = {"slogan": "Still warm when you get home."}
SCHEMA: Final = {
    "type": "object",
    "properties": {"slogan": {"type": "string"}},
    "required": ["slogan"],
    "additionalProperties": False,
}
FORMATS: Final = [
    {"type": "json_schema", "json_schema": {"name": "Slogan", "strict": True, "schema": SCHEMA}},
    {"type": "json_object"},
]
TOOL: Final = {"type": "function", "function": {"name": "keep", "description": "Keeps a slogan.", "parameters": SCHEMA}}
TEAM: Final = """
[[teams]]
id = "round-robin"
factory = "examples.teams.round_robin:build"
answer_from = ["Writer"]
output_tools = true
"""


class FormingMind(Mind):
    """Calls a tool where it may, or answers in JSON, when it is asked to put an answer into a form."""

    def answer(self, body: Mapping[str, Any]) -> Said:
        if "You are " in rules.text_of(body["messages"][0]):
            return super().answer(body)
        arguments = json.dumps(SLOGAN)
        if body.get("tools") and body.get("tool_choice") != "none":
            return Said("", "I call it.", [(body["tools"][0]["function"]["name"], arguments)])
        return Said(arguments, "I write JSON.")


@pytest.mark.parametrize("vendor", ZOO, ids=lambda vendor: vendor.__name__)
async def test_json_and_forced_calls_come_from_every_vendor(tmp_path: Path, vendor: type[Vendor]) -> None:
    mind = FormingMind()
    async with (
        VendorServer(vendor(), mind, streams=True) as provider,
        serving(config_of(vendor, provider.origin, tmp_path, teams=TEAM), tmp_path) as server,
        aiohttp.ClientSession() as session,
    ):

        async def asked(**fields: Any) -> Mapping[str, Any]:
            mind.play("round-robin", 0)
            body = chat_body(questions("round-robin")[0], model="round-robin", **fields) | {"stream": False}
            async with session.post(f"{server.url}/v1/chat/completions", json=body) as response:
                answer = await response.json()
            assert response.status == 200, answer
            choice: Mapping[str, Any] = answer["choices"][0]
            return choice

        for form in FORMATS:
            assert json.loads((await asked(response_format=form))["message"]["content"]) == SLOGAN
        called = await asked(tools=[TOOL], tool_choice="required")
        (call,) = called["message"]["tool_calls"]
        assert call["function"]["name"] == "keep"
        assert json.loads(call["function"]["arguments"]) == SLOGAN
