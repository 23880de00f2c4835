"""Teams work with models whose templates are strict, and chats go on after a stopped answer."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.config.model import Config, OpenAIModelConfig, TeamConfig
from tests.kit.scripted_provider import Call, HttpError, Reply, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, sample_team, serving


def refused(text: str) -> HttpError:
    return HttpError(400, {"error": {"message": text}})


def alternating(body: Mapping[str, Any]) -> Reply:
    roles = [message["role"] for message in body["messages"] if message["role"] != "system"]
    if any(before == after for before, after in pairwise(roles)):
        return refused("Conversation roles must alternate user/assistant/user/assistant/...")
    return ScriptedAnswer("Fine, ", "thanks.")


def named(base_url: str, team: TeamConfig, **settings: Any) -> Config:
    table = {"provider": "openai", "model": "scripted", "base_url": base_url, **settings}
    return Config(models={"default": OpenAIModelConfig.model_validate(table)}, teams=(team,))


@pytest.mark.parametrize(
    ("settings", "requests"),
    [({}, 3), ({"model": "mistral-7b"}, 2), ({"messages": "alternate"}, 2)],
    ids=["learned", "known by its name", "configured"],
)
async def test_a_pair_of_agents(tmp_path: Path, settings: Mapping[str, Any], requests: int) -> None:
    async with ScriptedProvider() as provider:
        provider.script(alternating)
        async with serving(named(provider.base_url, sample_team("pair"), **settings), tmp_path) as server:
            answer = await ask(server.url, "How are you?", model="pair")
            assert not answer.errors
            assert len(provider.exchanges) == requests
            *_, last = provider.exchanges[-1].body["messages"]
            assert last["content"] == "user said:\nHow are you?\n\nWriter said:\nFine, thanks."
            await ask(server.url, "And now?", model="pair")
            assert len(provider.exchanges) == requests + 2, "a refusal is learned once"


async def test_a_setting_that_sends_everything(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(alternating)
        async with serving(named(provider.base_url, sample_team("pair"), messages="any"), tmp_path) as server:
            assert (await ask(server.url, "How are you?", model="pair")).errors


def not_empty(body: Mapping[str, Any]) -> Reply:
    for at, message in enumerate(body["messages"]):
        if not message.get("tool_calls") and not (message.get("content") or "").strip():
            return refused(f"messages.{at}: text content blocks must be non-empty")
    return ScriptedAnswer("Fine.")


@pytest.mark.parametrize("stopped", ["", " \n"])
async def test_a_chat_after_an_answer_that_was_stopped_before_its_first_word(tmp_path: Path, stopped: str) -> None:
    said = [("user", "Hi"), ("assistant", stopped), ("user", "Hi again"), ("assistant", stopped)]
    messages = [{"role": role, "content": text} for role, text in said]
    async with ScriptedProvider() as provider:
        provider.script(not_empty)
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            for count in (3, 4):
                assert not (await ask(server.url, messages[:count], model="solo")).errors
        for exchange in provider.exchanges:
            asked = [message["content"] for message in exchange.body["messages"] if message["role"] == "user"]
            assert asked == ["Hi", "Hi again"], "the question is answered, and nothing is continued"
        assert len(provider.exchanges) == 2


async def test_an_agent_that_had_nothing_to_say(tmp_path: Path) -> None:
    def first_is_silent(body: Mapping[str, Any]) -> Reply:
        return not_empty(body) if len(provider.exchanges) > 1 else ScriptedAnswer("")

    async with ScriptedProvider() as provider:
        provider.script(first_is_silent)
        async with serving(config_for(provider.base_url, sample_team("pair")), tmp_path) as server:
            answer = await ask(server.url, "Hi", model="pair")
        assert not answer.errors
        assert answer.text.rstrip().endswith("Fine.")
        assert len(provider.exchanges) == 2


async def test_reflection_where_tools_must_be_named(tmp_path: Path) -> None:
    def reply(body: Mapping[str, Any]) -> Reply:
        if body["messages"][-1]["role"] != "tool":
            return ScriptedAnswer(Call("weather", {"city": "Rome"}))
        if not body.get("tools"):
            return refused("the `tools=` param must be passed in when messages contain tool calls")
        return ScriptedAnswer("Wet.")

    async with ScriptedProvider() as provider:
        provider.script(reply)
        async with serving(config_for(provider.base_url, sample_team("with_tool")), tmp_path) as server:
            answer = await ask(server.url, "Rome?", model="with-tool")
        assert not answer.errors
        assert answer.text.rstrip().endswith("Wet.")
        first, last = provider.exchanges[0].body, provider.exchanges[-1].body
        assert (last["tools"], last["tool_choice"]) == (first["tools"], "none")
        assert len(provider.exchanges) == 3
