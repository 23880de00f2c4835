"""A conversation over HTTP: the team's memory goes on, for every kind of client, and belongs to one user only."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.model import ConversationsConfig
from tests.kit.scripted_provider import Exchange, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, ask, asking, config_for, sample_team, serving

CHAT = {"X-OpenWebUI-Chat-Id": "chat-1"}
TALK = {"X-Conversation-Id": "talk-1"}


@pytest.fixture
async def server(provider: ScriptedProvider, tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as started:
        yield started


def _heard(exchange: Exchange) -> list[str]:
    """What the model was told, but for the system prompt."""
    return [message["content"] for message in exchange.body["messages"] if message["role"] != "system"]


async def _turn(server: Server, messages: list[dict[str, Any]], text: str, headers: Mapping[str, str]) -> str:
    """Ask as a chat page does: with everything that was said, and keep what came back."""
    messages.append({"role": "user", "content": text})
    answer = await ask(server.url, messages, model="solo", headers=headers)
    messages.append({"role": "assistant", "content": answer.text})
    return answer.text


@pytest.mark.parametrize("headers", [CHAT, TALK, {}])
async def test_each_turn_is_heard_once_with_or_without_memory(
    server: Server, provider: ScriptedProvider, headers: Mapping[str, str]
) -> None:
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."), ScriptedAnswer("Third."))
    messages: list[dict[str, Any]] = []
    for text in ("one", "two", "three"):
        await _turn(server, messages, text, headers)
    assert _heard(provider.exchanges[2]) == ["one", "First.", "two", "Second.", "three"]


async def test_a_client_that_sends_only_the_new_question_is_remembered(
    server: Server, provider: ScriptedProvider
) -> None:
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."))
    for text in ("one", "two"):
        await ask(server.url, text, model="solo", headers=TALK)
    assert _heard(provider.exchanges[1]) == ["one", "First.", "two"]


async def test_runs_name_their_conversation_in_the_body(server: Server, provider: ScriptedProvider) -> None:
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."))
    async with aiohttp.ClientSession() as session:
        for text in ("one", "two"):
            body = {"model": "solo", "messages": [{"role": "user", "content": text}], "conversation": "talk-1"}
            async with session.post(f"{server.url}/v1/runs", json=body) as response:
                await response.read()
            async with session.get(f"{server.url}/v1/runs/{response.headers['X-Run-Id']}") as response:
                assert (await response.json())["conversation"] == "talk-1"
    assert _heard(provider.exchanges[1]) == ["one", "First.", "two"]


async def test_another_user_of_the_same_name_for_it_is_a_stranger(server: Server, provider: ScriptedProvider) -> None:
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."))
    for user in ("ann", "bob"):
        await ask(server.url, "my secret", model="solo", headers={**TALK, "X-User-ID": user})
    assert _heard(provider.exchanges[1]) == ["my secret"]


async def test_a_server_that_was_restarted_remembers(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."))
    for text in ("one", "two"):
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            await ask(server.url, text, model="solo", headers=TALK)
    assert _heard(provider.exchanges[1]) == ["one", "First.", "two"]


async def test_a_stopped_turn_is_forgotten_and_the_history_counts(server: Server, provider: ScriptedProvider) -> None:
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("Sec", "ond.", pause_s=0.2), ScriptedAnswer("Third."))
    messages: list[dict[str, Any]] = []
    await _turn(server, messages, "one", CHAT)
    messages.append({"role": "user", "content": "two"})
    async with asking(server.url, messages, model="solo", headers=CHAT) as answer:
        async for _ in answer.pieces():
            break
    messages.append({"role": "assistant", "content": answer.text})
    await _turn(server, messages, "three", CHAT)
    assert _heard(provider.exchanges[2])[:3] == ["one", "First.", "two"]
    assert _heard(provider.exchanges[2])[-1] == "three"


async def test_a_second_question_to_a_busy_conversation_is_409(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer("a", "b", pause_s=0.3))
    policy = ConversationsConfig(concurrent_turns="reject")
    config = config_for(provider.base_url, sample_team("solo"), conversations=policy)
    async with (
        serving(config, tmp_path) as server,
        asking(server.url, "one", model="solo", headers=TALK) as first,
        asking(server.url, "two", model="solo", headers=TALK) as second,
    ):
        assert (first.response.status, second.response.status) == (200, 409)
        assert (await second.response.json())["error"]["code"] == "conflict"
        await first.read_all()
