"""Runs that the page did not ask for: of other protocols, waiting for a client's tools, and forgotten ones."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from aiostream_server.config.model import TeamConfig
from tests.kit.needs import needs
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import config_for, sample_team, serving
from tests.page.browsing import browser, window

pytestmark = [needs("browser"), pytest.mark.timeout(120)]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def asked(protocol: str) -> tuple[str, dict[str, Any]]:
    """The path and the body of one question."""
    user = {"role": "user", "content": f"By {protocol}"}
    parts = [{"type": "text", "text": user["content"]}]
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": user["content"]}]}
    questions: dict[str, tuple[str, dict[str, Any]]] = {
        "chat": ("v1/chat/completions", {"model": "lone", "messages": [user]}),
        "responses": ("v1/responses", {"model": "lone", "input": user["content"]}),
        "ag-ui": ("v1/ag-ui/lone", {"threadId": "t", "runId": "r", "messages": [{"id": "m", **user}]}),
        "ai-sdk": ("v1/ai-sdk/lone", {"id": "c", "messages": [{"id": "m", "role": "user", "parts": parts}]}),
        "a2a": ("a2a/lone", {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}),
        "tools": ("v1/chat/completions", {"model": "lone", "messages": [user], "tools": [TOOL]}),
    }
    return questions[protocol]


async def test_runs_of_every_protocol_are_shown(tmp_path: Path) -> None:
    protocols = ["chat", "responses", "ag-ui", "ai-sdk", "a2a", "tools"]
    team = TeamConfig(id="lone", factory="tests.web.calling_teams:lone", client_tools=True)
    async with ScriptedProvider() as provider:
        provider.script(*[ScriptedAnswer("It **rains**.")] * 5, ScriptedAnswer(Call("weather", {}, "call_1", 1)))
        async with (
            serving(config_for(provider.base_url, team), tmp_path) as server,
            ClientSession(headers={"A2A-Version": "1.0"}) as session,
            browser() as opened,
        ):
            for protocol in protocols:
                path, body = asked(protocol)
                async with session.post(f"{server.url}/{path}", json=body) as response:
                    assert response.status == 200, await response.text()
                    await response.read()
            shown = await window(opened, server.url, "/runs")
            page = shown.page
            for protocol in protocols[:-1]:
                await page.get_by_role("link", name=f"By {protocol}").click()
                await shown.until("stop")
                assert await page.locator(".transcript strong").inner_text() == "rains"
                await page.go_back()
            await page.get_by_role("link", name="By tools").click()
            await shown.until("tool_calls")
            assert "waits for a tool" in await page.inner_text(".controls")
            assert "waits for the client's result" in await shown.transcript()
            assert await page.locator(".reply").count() == 0, "words are no tool's result"
            assert shown.errors == []


async def test_a_run_that_the_server_has_forgotten_is_told_as_such(tmp_path: Path) -> None:
    async with (
        serving(config_for("http://127.0.0.1:9/v1"), tmp_path) as server,
        browser() as opened,
    ):
        shown = await window(opened, server.url, "/runs/run-of%2Flong%20%25ago")
        await shown.page.wait_for_selector('#problem:has-text("run-of/long %ago")')
        await shown.page.get_by_role("link", name="Back to the teams").click()
        await shown.page.wait_for_selector(".card")


async def test_a_card_counts_neither_the_user_nor_what_chooses_the_next_speaker(tmp_path: Path) -> None:
    teams = sample_team("selected"), sample_team("swarm_hands_off"), sample_team("selected_person")
    async with serving(config_for("http://127.0.0.1:9/v1", *teams), tmp_path) as server, browser() as opened:
        shown = await window(opened, server.url)
        await shown.page.wait_for_selector(".card svg")
        counts = [(await each.inner_text()).partition(",")[0] for each in await shown.page.locator("summary").all()]
        assert counts == ["2 agents", "1 agent", "2 agents"]
