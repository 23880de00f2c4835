"""The A2A project's and the MCP project's own clients, for Python and JavaScript, against the server."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from aiostream_server.config.load import load_config
from tests.clients.running import FAILURES, PROGRAMS, is_closed, outcomes_of, start_program
from tests.kit.needs import CLIENTS, require
from tests.kit.scripted_provider import Reply, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import config_for, sample_team, serving
from tests.kit.waiting import DEADLINE_S

_DOCS: Final = Path(__file__).parents[2] / "docs"
_DEADLINE_S: Final = 3 * DEADLINE_S
_PROGRAM_OF: Final = {
    "a2a-sdk": "ask_a2a.py",
    "a2a-js": "ask_a2a.mjs",
    "mcp": "ask_mcp.py",
    "mcp-js": "ask_mcp.mjs",
}


def _reply(body: Mapping[str, Any]) -> Reply:
    asked = str(body["messages"])
    if "<broken>" in asked:
        return FAILURES["refused"]
    if "<stall" in asked:
        return ScriptedAnswer("one ", Stall())
    return ScriptedAnswer("Hel", "lo.")


@dataclass(frozen=True, slots=True)
class Told:
    """`outcomes` by scenario; `stalled` says of each model call without an end whether the server closed it."""

    outcomes: Mapping[str, Mapping[str, Any]]
    stalled: Sequence[bool]

    def of(self, scenario: str) -> list[Mapping[str, Any]]:
        """Of a scenario in each binding, or each version."""
        return [outcome for name, outcome in self.outcomes.items() if name.split()[0] == scenario]


async def _ask(client: str, folder: Path) -> Told:
    async with ScriptedProvider() as provider:
        provider.script(_reply)
        config = config_for(provider.base_url, sample_team("solo"), sample_team("until_approved"))
        async with serving(config, folder) as server:
            source = PROGRAMS / _PROGRAM_OF[client]
            program = await start_program(CLIENTS / client, source, server.url, AIOSTREAM_MODEL="solo")
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    outcomes = await outcomes_of(program)
                stalled = [each for each in provider.exchanges if "<stall" in str(each.body["messages"])]
                closed = [await is_closed(each) for each in stalled]
            finally:
                if program.returncode is None:
                    program.kill()
                await program.communicate()
        return Told(outcomes, closed)


@pytest.fixture(scope="module", params=_PROGRAM_OF)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Told]:
    require("clients")
    return request.param, asyncio.run(_ask(request.param, tmp_path_factory.mktemp(request.param)))


def test_every_client_does_all_that_it_can(told: tuple[str, Told]) -> None:
    client, seen = told
    check = {"a2a-sdk": _check_a2a, "a2a-js": _check_a2a_js, "mcp": _check_mcp, "mcp-js": _check_mcp_js}[client]
    check(seen)


@pytest.mark.parametrize(("client", "manual"), [("a2a-sdk", "a2a.md"), ("mcp", "mcp.md")])
async def test_the_manuals_program_prints_the_answer(tmp_path: Path, client: str, manual: str) -> None:
    require("clients")
    found = re.search(r"^```python\n(.*?)^```", (_DOCS / manual).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None
    async with serving(load_config(None, {}), tmp_path) as server:
        program = found[1].replace("http://127.0.0.1:8000", server.url)
        python = f"{CLIENTS / client}/bin/python"
        process = await asyncio.create_subprocess_exec(python, "-c", program, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(_DEADLINE_S):
            out, _ = await process.communicate()
    assert process.returncode == 0
    assert "15% of 850 is 127.5" in out.decode()


def _check_a2a(seen: Told) -> None:
    """In both bindings."""
    began_and_ended = ["TASK_STATE_SUBMITTED", "TASK_STATE_COMPLETED"]
    assert seen.of("stream") == 2 * [{"text": "Hello.", "kept": "Hello.", "states": began_and_ended, "pieces": 3}]
    assert seen.of("whole") == 2 * [{"text": "Hello.", "states": ["TASK_STATE_COMPLETED"]}]
    waited = ["TASK_STATE_INPUT_REQUIRED", "TASK_STATE_COMPLETED"]
    assert seen.of("reply") == 2 * [{"same": True, "states": waited}]
    assert seen.of("cancel") == 2 * [{"text": "one ", "states": ["TASK_STATE_CANCELED"], "listed": 1}]
    assert seen.stalled == [True, True]
    assert seen.of("failing") == 2 * [{"states": ["TASK_STATE_FAILED"]}]
    assert [each["raised"] for each in seen.of("over")] == 2 * ["TaskNotCancelableError"]
    assert [each["raised"] for each in seen.of("unknown")] == 2 * ["TaskNotFoundError"]
    strict = seen.outcomes["strict"]
    assert (strict.get("same"), strict.get("card")) == (True, True), strict
    assert strict["frames"] > 4


def _check_a2a_js(seen: Told) -> None:
    """States are numbers there."""
    submitted, completed, input_required = 1, 3, 6
    assert seen.of("stream") == [{"text": "Hello.", "states": [submitted, completed], "pieces": 3}]
    assert seen.of("whole") == [{"text": "Hello.", "states": [completed]}]
    assert seen.of("reply") == [{"same": True, "states": [input_required, completed]}]
    assert [each["raised"] for each in seen.of("unknown")] == ["JsonRpcTaskNotFoundError"]


def _check_mcp(seen: Told) -> None:
    """In the newest version, and in the last one with sessions."""
    tools = ["solo", "until-approved"]
    versions = {each["version"]: each["tools"] for each in seen.of("listed")}
    assert versions == {"2026-07-28": tools, "2025-11-25": tools}
    assert seen.of("called") == 2 * [{"text": "Hello.", "error": False, "rises": True}]
    assert seen.of("reply") == 2 * [{"waits": [True, False]}]
    assert {each["mode"]: each["waits"] for each in seen.of("elicited")} == {"auto": False, "legacy": True}
    assert seen.of("cancel") == 2 * [{"again": False}]
    assert seen.stalled == [True, True]
    assert seen.of("failing") == 2 * [{"error": True}]
    assert all(each.get("raised") for each in seen.of("unknown"))


def _check_mcp_js(seen: Told) -> None:
    assert seen.of("listed") == 2 * [{"tools": ["solo", "until-approved"]}]
    assert seen.of("called") == 2 * [{"text": "Hello.", "rises": True, "error": False}]
    assert seen.of("cancel") == 2 * [{"said": "stopped", "again": False}]
    assert seen.stalled == [True, True]
    assert {each["raised"] for each in seen.of("unknown")} == {"McpError", "ProtocolError"}
