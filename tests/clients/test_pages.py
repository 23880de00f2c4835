"""The AI SDK as a page uses it, against the server: its own parser and its own rules of order judge the stream."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import OpenAIModelConfig, TeamConfig
from tests.clients.running import PROGRAMS, outcomes_of, start_program
from tests.kit.needs import CLIENTS, require
from tests.kit.scripted_provider import BreakOff, Gate, Reply, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import sample_team, serving
from tests.kit.waiting import DEADLINE_S

WORDS = [f"w{number} " for number in range(30)]


def _replies() -> Callable[[Mapping[str, Any]], Reply]:
    """The answer to `<gated>` goes on once `<open>` is asked."""
    gate = Gate()

    def reply(body: Mapping[str, Any]) -> Reply:
        asked = str(body["messages"])
        if "<broken_off>" in asked:
            return ScriptedAnswer("so far ", BreakOff())
        if "<gated>" in asked:
            return ScriptedAnswer(*WORDS[:3], gate, *WORDS[3:])
        if "<open>" in asked:
            gate.open()
            return ScriptedAnswer("opened")
        return ScriptedAnswer(*WORDS, Stall())

    return reply


async def _outcomes(folder: Path) -> dict[str, dict[str, Any]]:
    async with ScriptedProvider() as provider:
        provider.script(_replies())
        demo = load_config(None, {})
        scripted = OpenAIModelConfig(provider="openai", model="scripted", base_url=provider.base_url)
        teams = (
            TeamConfig(id="general", factory="aiostream_server.teams.general:build"),
            TeamConfig(id="data", factory="aiostream_server.teams.data:build"),
            TeamConfig(id="careful", factory="aiostream_server.teams.data:build", settings={"ask_first": True}),
            sample_team("solo", model="scripted").model_copy(update={"id": "slow"}),
        )
        config = demo.model_copy(update={"teams": teams, "models": {**demo.models, "scripted": scripted}})
        async with serving(config, folder) as server:
            source = PROGRAMS / "chat_ai_sdk.mjs"
            program = await start_program(CLIENTS / "ai-sdk-ui", source, f"{server.url}/v1")
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
    return asyncio.run(_outcomes(tmp_path_factory.mktemp("pages")))


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
