"""A team that turns to the user: its question is the answer of that turn, the next question its reply."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import TeamConfig
from aiostream_server.events import Answer, Event, InputRequested, ToolResult
from aiostream_server.intake.principal import Owner
from tests.kit.runs import runs_in
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, ask, config_for, sample_team, serving, until_idle

TALK = {"X-Conversation-Id": "talk"}
QUESTION = "Which region had the highest total sales?"


@pytest.fixture
async def careful(tmp_path: Path) -> AsyncIterator[Server]:
    """The data-analysis team, which asks before it runs a query."""
    demo = load_config(None, {})
    team = TeamConfig(
        id="careful",
        factory="aiostream_server.teams.data:build",
        answer_from=("AnalysisAgent",),
        settings={"ask_first": True},
    )
    async with serving(demo.model_copy(update={"teams": (team,)}), tmp_path) as server:
        yield server


def _events(server: Server) -> list[Event]:
    """Of the latest run."""
    runs = sorted(runs_in(server.state.registry, Owner()), key=lambda run: run.created_at)
    return [entry.event for entry in runs[-1].log.since(0)]


def _tables(server: Server) -> list[ToolResult]:
    return [each for each in _events(server) if isinstance(each, ToolResult) and each.tool == "query"]


async def test_the_data_team_asks_runs_nothing_and_runs_it_after_a_yes(careful: Server) -> None:
    asked = await ask(careful.url, QUESTION, model="careful", headers=TALK)
    assert "SELECT" in asked.text
    assert "yes" in asked.text
    assert asked.finish_reasons == ["stop"]
    assert isinstance(_events(careful)[-2], InputRequested)
    assert _tables(careful) == []
    answered = await ask(careful.url, "yes", model="careful", headers=TALK)
    assert "West" in answered.text
    assert len(_tables(careful)) == 1


@pytest.mark.parametrize(
    "around",
    [
        '<attached_files>\n<file type="file" id="1" name="a.txt"/>\n</attached_files>\n\n{}',
        (
            "### Task:\nRespond to the user query using the provided context, incorporating inline citations\n"
            "<context>\nno\n</context>\n\n{}"
        ),
    ],
)
async def test_a_yes_is_one_whatever_open_webui_puts_around_it(careful: Server, around: str) -> None:
    await ask(careful.url, QUESTION, model="careful", headers=TALK)
    await ask(careful.url, around.format("yes"), model="careful", headers=TALK)
    assert len(_tables(careful)) == 1


@pytest.mark.parametrize("reply", ["no", "only in 2024, please"])
async def test_what_is_no_yes_runs_nothing(careful: Server, reply: str) -> None:
    await ask(careful.url, QUESTION, model="careful", headers=TALK)
    await ask(careful.url, reply, model="careful", headers=TALK)
    assert _tables(careful) == []


async def test_without_a_conversation_nothing_ever_runs(careful: Server) -> None:
    asked = await ask(careful.url, QUESTION, model="careful")
    history = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": asked.text},
        {"role": "user", "content": "yes"},
    ]
    await ask(careful.url, history, model="careful")
    assert _tables(careful) == []


async def test_every_presentation_shows_the_question(careful: Server) -> None:
    for presentation in ("transcript", "reasoning", "answer"):
        asked = await ask(careful.url, QUESTION, model="careful", headers={"X-Presentation": presentation})
        assert len(re.findall(r"Reply \*\*yes\*\*", asked.text)) == 1, asked.text


async def test_a_yes_goes_to_the_team_that_asked_whatever_auto_makes_of_it(tmp_path: Path) -> None:
    demo = load_config(None, {})
    teams = (
        TeamConfig(id="general", factory="aiostream_server.teams.general:build"),
        TeamConfig(id="data", factory="aiostream_server.teams.data:build", settings={"ask_first": True}),
    )
    async with serving(demo.model_copy(update={"teams": teams}), tmp_path) as server:
        for text in (QUESTION, "yes"):
            answer = await ask(server.url, text, headers=TALK)
        assert "it asked, this is the answer" in answer.text
        assert len(_tables(server)) == 1


@pytest.mark.parametrize(
    ("team", "script", "replied"),
    [
        ("until_approved", [ScriptedAnswer("Draft.")], ScriptedAnswer("Better.")),
        ("asked_in_between", [ScriptedAnswer("Draft.")], ScriptedAnswer("Better.")),
        ("selected_person", [ScriptedAnswer("Draft.")], ScriptedAnswer("Better.")),
        ("hands_off", [ScriptedAnswer(Call("transfer_to_user", {}))], ScriptedAnswer("Better.")),
        ("swarm_hands_off", [ScriptedAnswer(Call("transfer_to_user", {}))], ScriptedAnswer("Better.")),
        ("swarm_with_person", [ScriptedAnswer(Call("transfer_to_person", {}))], ScriptedAnswer("Better.")),
    ],
)
async def test_each_kind_of_team_goes_on_with_the_reply(
    tmp_path: Path, team: str, script: list[ScriptedAnswer], replied: ScriptedAnswer
) -> None:
    async with ScriptedProvider() as provider:
        provider.script(*script)
        async with serving(config_for(provider.base_url, sample_team(team)), tmp_path) as server:
            model = team.replace("_", "-")
            first = await ask(server.url, "write a slogan", model=model, headers=TALK)
            assert any(isinstance(event, InputRequested) for event in _events(server)), _events(server)
            assert first.finish_reasons == ["stop"]
            await until_idle(server)
            provider.script(*[replied] * 9)
            second = await ask(server.url, "make it shorter", model=model, headers=TALK)
        heard = provider.exchanges[len(script)].body["messages"]
    assert "Better." in second.text
    assert any("make it shorter" in str(message["content"]) for message in heard)
    assert any("write a slogan" in str(message["content"]) for message in heard)


async def test_runs_tell_that_they_wait(careful: Server) -> None:
    body: dict[str, Any] = {"model": "careful", "messages": [{"role": "user", "content": QUESTION}]}
    async with aiohttp.ClientSession() as session, session.post(f"{careful.url}/v1/runs", json=body) as response:
        text = await response.text()
    assert text.count("event: input_requested\n") == 1
    events = _events(careful)
    assert [type(event) for event in events[-3:-1]] == [Answer, InputRequested]


async def test_a_page_offers_the_replies_as_buttons(careful: Server) -> None:
    """Its follow-up task after the question, with the answer as the page was sent it, in every presentation."""
    for presentation in ("transcript", "reasoning", "answer"):
        headers = {"X-OpenWebUI-Chat-Id": presentation, "X-Presentation": presentation}
        question = await ask(careful.url, QUESTION, model="careful", headers=headers)
        history = f"<chat_history>\nUSER: {QUESTION}\nASSISTANT: {question.text}\n</chat_history>"
        task = f'### Task:\nSuggest 3-5 relevant follow-up questions\n### Output:\n{{ "follow_ups": [] }}\n{history}'
        told = await ask(careful.url, task, model="careful", headers={"X-OpenWebUI-Task": "follow_up_generation"})
        assert json.loads(told.text) == {"follow_ups": ["yes", "no"]}
