"""Tools of others, as a strict provider sees them: each with its own name and a good schema, called when meant."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import Swarm
from autogen_core.tools import FunctionTool, StaticWorkbench

from aiostream_server.config.model import HttpToolConfig, McpToolConfig, TeamConfig
from aiostream_server.service.config_check import find_problems
from aiostream_server.teams.autogen_private.structure import tools_of
from aiostream_server.teams.context import TeamContext
from aiostream_server.teams.tools.unique_toolset import UniqueToolset, make_names_unique
from tests.kit.scripted_provider import Call, Reply, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, serving
from tests.models.tool_schema_rules import complaints
from tests.teams.kinds import saying

PROGRAM = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    match message["method"]:
        case "initialize":
            version = message["params"]["protocolVersion"]
            info = {"name": "s", "version": "1"}
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            result = {"tools": json.loads(sys.argv[2])}
        case "tools/call":
            said = f"this was {sys.argv[1]} {message['params']['name']}"
            result = {"content": [{"type": "text", "text": said}]}
        case _:
            result = {}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""
NONE: Mapping[str, Any] = {"type": "object", "properties": {}}


def tool(name: str, description: str = "", schema: Mapping[str, Any] = NONE) -> dict[str, Any]:
    return {"name": name, "description": description or name, "inputSchema": schema}


def mcp(name: str, *tools: Mapping[str, Any], **settings: Any) -> McpToolConfig:
    arguments = ("-S", "-E", "-c", PROGRAM, name, json.dumps(tools))
    return McpToolConfig(kind="mcp", command=sys.executable, args=arguments, **settings)


def helper(context: TeamContext) -> AssistantAgent:
    return AssistantAgent("Helper", context.model(), workbench=context.tools(), max_tool_iterations=3)


def swarm(context: TeamContext) -> Swarm:
    alice = AssistantAgent("alice", context.model(), workbench=context.tools(), handoffs=["bob"], max_tool_iterations=2)
    return Swarm([alice, AssistantAgent("bob", context.model())], max_turns=2)


class Strict:
    """Refuses what strict providers refuse; calls the tool with the description `wanted`, and repeats its result."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.names: Sequence[str] = ()

    def __call__(self, body: Mapping[str, Any]) -> Reply:
        functions = [each["function"] for each in body.get("tools", ())]
        if functions:
            self.names = [function["name"] for function in functions]
            assert len({*self.names}) == len(self.names), "Tool names must be unique"
            for function in functions:
                assert function.get("strict") or complaints(function["parameters"]) == []
        if (last := body["messages"][-1])["role"] == "tool":
            return ScriptedAnswer(f"Result: {last['content']}")
        chosen = next((each["name"] for each in functions if each["description"] == self.wanted), None)
        return ScriptedAnswer("bob is here" if chosen is None else Call(chosen))


async def result_of(folder: Path, strict: Strict, tools: Mapping[str, Any], *, team: str = "helper") -> str:
    served = TeamConfig(id="team", factory=f"tests.tools_for_teams.test_foreign_tools:{team}", tools=tuple(tools))
    async with ScriptedProvider() as provider:
        provider.script(strict)
        async with serving(config_for(provider.base_url, served, tools=tools), folder) as server:
            answer = await ask(server.url, "go", model="team")
            assert answer.errors == []
            return answer.text


async def test_names_that_would_be_one_are_told_apart(tmp_path: Path) -> None:
    tools = [tool("pages.delete_draft", "Deletes a draft"), tool("pages_delete_draft", "Deletes the page")]
    seen = []
    for order in (tools, tools[::-1]):
        strict = Strict("Deletes a draft")
        text = await result_of(tmp_path, strict, {"small": mcp("small", *order)})
        assert "Result: this was small pages.delete_draft" in text
        seen.append({*strict.names})
    assert seen[0] == seen[1]
    assert "pages_delete_draft" in seen[0]


async def test_two_servers_and_a_handoff_with_the_same_names(tmp_path: Path) -> None:
    one = mcp("one", tool("search", "Searches one"), tool("transfer_to_bob", "Moves money to Bob"))
    tools = {"one": one, "two": mcp("two", tool("search", "Searches two"))}
    for wanted, result in (
        ("Searches one", "this was one search"),
        ("Searches two", "this was two search"),
        ("Moves money to Bob", "this was one transfer_to_bob"),
    ):
        strict = Strict(wanted)
        assert f"Result: {result}" in await result_of(tmp_path, strict, tools, team="swarm")
        assert {"search", "transfer_to_bob"} < {*strict.names}


async def test_schemas_are_repaired_on_their_way_to_the_model(tmp_path: Path) -> None:
    odd = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "rows": {"type": "array"},
            "when": {"type": ["string", "null"], "format": "date"},
            "tree": {"$ref": "#/$defs/Tree"},
            "level": {"type": "integer", "enum": [1, 2]},
        },
        "$defs": {"Tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Tree"}}}},
        "additionalProperties": False,
    }
    http = HttpToolConfig(
        kind="http",
        url="http://127.0.0.1:9/x",
        description="Asks",
        parameters={
            "rows": {"type": "array", "items": {"type": "string"}},
            "kind": {"type": "string", "format": "uri"},
        },
    )
    tools = {"small": mcp("small", tool("rows", "Writes", odd), tool("other", "Another")), "asks": http}
    assert "Result: this was small other" in await result_of(tmp_path, Strict("Another"), tools)


def _bench(*names: str) -> StaticWorkbench:
    return StaticWorkbench([FunctionTool(lambda: "", name=name, description=name) for name in names])


async def test_the_first_keeps_its_name_and_a_lone_workbench_stays() -> None:
    agent = AssistantAgent("A", saying("x"), workbench=[_bench("a", "b"), _bench("b", "c")])
    make_names_unique(agent)
    (both,) = vars(agent)["_workbench"]
    assert isinstance(both, UniqueToolset)
    names = [each["name"] for each in await both.list_tools()]
    assert names[:2] + names[3:] == ["a", "b", "c"]
    assert both.renamed() == {names[2]: "b"}
    assert [tool.name for tool in tools_of(agent)] == ["a", "b", "b", "c"]  # type: ignore[attr-defined]
    assert (await both.call_tool("no")).is_error
    lone = AssistantAgent("A", saying("x"), workbench=[_bench("a", "b")])
    distinct = AssistantAgent("A", saying("x"), workbench=[_bench("a"), _bench("b")], handoffs=["bob"])
    for other in (lone, distinct):
        make_names_unique(other)
        assert not any(isinstance(bench, UniqueToolset) for bench in vars(other)["_workbench"])


async def test_check_notes_other_names_and_what_cannot_be_repaired(tmp_path: Path) -> None:
    odd = {"type": "object", "properties": {"größe": {"type": "string"}, "to": {"$ref": "https://example.org/to.json"}}}
    offered = (tool("a.b"), tool("a_b"), tool("plain", schema=odd))
    notes: list[str] = []
    config = config_for("http://127.0.0.1:9/v1", tools={"small": mcp("small", *offered, prefix="s_", scope="run")})
    assert await find_problems(config, state_directory=tmp_path, uses_tools=True, notes=notes) == []
    renamed, *others = notes
    assert renamed.startswith("[tools.small] the tool 'a.b' is offered as s_a_b_")
    where = "[tools.small] the schema of s_plain cannot be repaired:"
    assert others == [
        f"{where} größe: some providers refuse such a name of a property",
        f"{where} to: 'https://example.org/to.json' is not in the schema",
    ]


async def test_version_2_of_mcp_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mcp-2.3.0.dist-info").mkdir()
    (tmp_path / "mcp-2.3.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mcp\nVersion: 2.3.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = config_for("http://127.0.0.1:9/v1", tools={"small": mcp("small")})
    (problem,) = await find_problems(config, state_directory=tmp_path)
    assert problem == (
        '[tools.small] MCP tools need version 1 of the package mcp, and 2.3.0 is installed: pip install "mcp>=1.30,<2"'
    )
