"""The AI SDK and AG-UI's client as pages use them: their parsers and their rules judge the server's streams."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import OpenAIModelConfig, TeamConfig
from tests.clients.running import PROGRAMS, outcomes_of, start_program
from tests.kit.needs import CLIENTS, needs, require
from tests.kit.scripted_provider import BreakOff, Call, Gate, Reply, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import sample_team, serving
from tests.kit.waiting import DEADLINE_S

_MANUAL = Path(__file__).parents[2] / "docs" / "ai-sdk.md"
WORDS = [f"w{number} " for number in range(30)]


def _replies() -> Callable[[Mapping[str, Any]], Reply]:
    """The answer to `<gated>` goes on once `<open>` is asked."""
    gate = Gate()

    def reply(body: Mapping[str, Any]) -> Reply:
        asked = str(body["messages"])
        if "<broken_off>" in asked:
            return ScriptedAnswer("so far ", BreakOff())
        if "<tool>" in asked:
            results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
            return ScriptedAnswer(f"You are in {results[0]}.") if results else ScriptedAnswer(Call("place"))
        if "<gated>" in asked:
            return ScriptedAnswer(*WORDS[:3], gate, *WORDS[3:])
        if "<open>" in asked:
            gate.open()
            return ScriptedAnswer("opened")
        return ScriptedAnswer(*WORDS, Stall())

    return reply


async def _outcomes(client: str, program_name: str, folder: Path) -> dict[str, dict[str, Any]]:
    async with ScriptedProvider() as provider:
        provider.script(_replies())
        demo = load_config(None, {})
        scripted = OpenAIModelConfig(provider="openai", model="scripted", base_url=provider.base_url)
        teams = (
            TeamConfig(id="general", factory="aiostream_server.teams.general:build"),
            TeamConfig(id="data", factory="aiostream_server.teams.data:build"),
            TeamConfig(id="careful", factory="aiostream_server.teams.data:build", settings={"ask_first": True}),
            sample_team("solo", model="scripted", client_tools=True).model_copy(update={"id": "slow"}),
        )
        config = demo.model_copy(update={"teams": teams, "models": {**demo.models, "scripted": scripted}})
        async with serving(config, folder) as server:
            program = await start_program(
                CLIENTS / client, PROGRAMS / program_name, f"{server.url}/v1", AIOSTREAM_PAGE=str(_MANUAL)
            )
            try:
                async with asyncio.timeout(DEADLINE_S):
                    return await outcomes_of(program)
            finally:
                if program.returncode is None:
                    program.kill()
                await program.communicate()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    require("clients")
    return asyncio.run(_outcomes("ai-sdk-ui", "chat_ai_sdk.mjs", tmp_path_factory.mktemp("ai_sdk")))


@pytest.fixture(scope="module")
def told_ag_ui(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    require("clients")
    return asyncio.run(_outcomes("ag-ui", "chat_ag_ui.mjs", tmp_path_factory.mktemp("ag_ui")))


def test_the_transport_reads_every_chunk_and_the_reader_finds_them_in_order(told: dict[str, dict[str, Any]]) -> None:
    outcome = told["transport"]
    assert outcome.get("first") == "start", outcome
    assert outcome["last"]["finishReason"] == "stop"
    kinds = outcome["kinds"]
    assert kinds[:2] == ["step-start", "data-routing"]
    assert {"reasoning:done", "dynamic-tool:output-available", "data-validation", "source-document", "file"} <= {*kinds}
    assert kinds[-2:] == ["text:done", "file"]
    assert "had the highest total sales" in outcome["text"]


def test_a_page_that_was_left_resumes_its_chat_and_has_nothing_to_resume_later(told: dict[str, dict[str, Any]]) -> None:
    outcome = told["resume"]
    whole = "".join(WORDS)
    assert outcome.get("text") == whole, outcome
    assert whole.startswith(outcome["before"])
    assert len(outcome["before"]) < len(whole)
    assert outcome["messages"] == 2
    assert outcome["after"] == {"status": "ready", "messages": 2}


def test_a_stop_button_that_calls_the_server_ends_the_answer(told: dict[str, dict[str, Any]]) -> None:
    assert told["stop"] == {
        "stopped": "cancelled",
        "status": "ready",
        "kinds": ["step-start", "text:done"],
    }


def test_an_approval_by_button_goes_on_in_the_same_message(told: dict[str, dict[str, Any]]) -> None:
    outcome = told["approve"]
    assert outcome.get("messages") == 2, outcome
    assert "dynamic-tool:approval-requested" in outcome["asked"]
    assert "source-document" not in outcome["asked"]
    assert "source-document" in outcome["answered"]
    assert not any("approval" in kind for kind in outcome["answered"])
    assert "had the highest total sales" in outcome["text"]


def test_an_answer_is_given_anew_and_the_chat_goes_on(told: dict[str, dict[str, Any]]) -> None:
    outcome = told["regenerate"]
    assert outcome.get("isNew") is True, outcome
    assert len(outcome["texts"]) == 4
    assert "127.5" in outcome["texts"][1]
    assert "170" in outcome["texts"][3]
    assert outcome["metadata"] == ["duration_s", "model", "reason", "run_id", "usage"]


def test_a_refusal_and_a_failure_are_errors_of_the_chat(told: dict[str, dict[str, Any]]) -> None:
    assert told["refused"] == {"status": "error", "code": "model_not_found"}
    assert told["broken"].get("status") == "error", told["broken"]
    assert told["broken"]["text"] == "so far "
    assert told["broken"]["said"]


def test_a_page_runs_its_own_tool_and_the_answer_goes_on_in_the_same_message(told: dict[str, dict[str, Any]]) -> None:
    outcome = told["tool"]
    assert outcome.get("messages") == 2, outcome
    assert "tool-place:output-available" in outcome["kinds"]
    assert outcome["text"] == "You are in Rome."


def test_ag_uis_client_reads_a_run_with_its_subagents(told_ag_ui: dict[str, dict[str, Any]]) -> None:
    outcome = told_ag_ui["run"]
    assert "had the highest total sales" in outcome.get("text", ""), outcome
    assert outcome["roles"] == ["assistant", "reasoning", "tool", "user"]
    assert outcome["subagents"][:2] == ["SQLAgent", "ValidationAgent"]
    assert {"aiostream.routing", "aiostream.validation", "aiostream.source"} <= {*outcome["custom"]}
    assert outcome["outcome"] == "success"
    assert outcome["usage"][0]["outputTokens"] > 0


def test_an_interrupt_of_ag_ui_is_resumed(told_ag_ui: dict[str, dict[str, Any]]) -> None:
    outcome = told_ag_ui["interrupted"]
    assert outcome.get("reason") == "confirmation", outcome
    assert outcome["unknown"] == "resume[0].interruptId"
    assert outcome["schema"] == ["approved"]
    assert outcome["left"] == 0
    assert outcome["outcome"] == "success"
    assert "aiostream.source" in outcome["custom"]
    assert "had the highest total sales" in outcome["text"]


def test_a_tool_of_an_ag_ui_page_is_called_and_its_result_is_used(told_ag_ui: dict[str, dict[str, Any]]) -> None:
    assert told_ag_ui["tools"] == {"text": "You are in Rome."}


def test_a_whole_thread_of_ag_ui_is_replayed(told_ag_ui: dict[str, dict[str, Any]]) -> None:
    """With a failed run in it, what the team asks, and the state that the page shares."""
    outcome = told_ag_ui["connect"]
    assert outcome.get("same") is True, outcome
    assert outcome["runs"] == len(outcome["users"]) == 3
    assert outcome["waits"] == 1
    assert outcome["state"] == {"page": "sales", "filters": {"year": 2024}}
    assert "Reply **yes** to run it" in outcome["text"]


def test_failures_and_refusals_reach_ag_uis_client(told_ag_ui: dict[str, dict[str, Any]]) -> None:
    assert told_ag_ui["aborted"]["text"].startswith(WORDS[0])
    assert told_ag_ui["broken"]["said"]
    assert told_ag_ui["broken"]["code"]
    assert told_ag_ui["refused"] == {"status": 404, "code": "model_not_found"}


@needs("clients")
async def test_the_page_of_the_manual_asks_and_approves(tmp_path: Path) -> None:
    told = await _outcomes("ai-sdk-ui", "page_ai_sdk.mjs", tmp_path)
    assert told["page"]["asked"] is True
    assert "SQLAgent: " in told["page"]["text"]
