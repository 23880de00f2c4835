"""A turn that cannot be saved: its answer says so in every form, and the conversation goes on as if it could."""

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.model import Config, ServerConfig
from aiostream_server.events.fixed_notices import NOT_KEPT_YET, NOT_RECALLED
from aiostream_server.service.shutdown import drain
from aiostream_server.service.sockets import Listening
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, ask, chat_body, config_for, sample_team, serving

TALK = {"X-Conversation-Id": "talk"}
PAGE = {"X-OpenWebUI-Chat-Id": "chat", "X-OpenWebUI-User-Id": "ann"}
LINE = f"📌 *{NOT_KEPT_YET}*"


@pytest.fixture
async def server(provider: ScriptedProvider, tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as started:
        yield started


@contextmanager
def without_inserts(folder: Path) -> Iterator[None]:
    """A database that can be read, and refuses turns."""
    with closing(sqlite3.connect(folder / "conversations.db", isolation_level=None)) as database:
        refusing = "SELECT RAISE(ABORT, 'refused')"
        database.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON aiostream_memories BEGIN {refusing}; END")
        yield
        database.execute("DROP TRIGGER refuse")


async def whole(server: Server, headers: Mapping[str, str], **fields: Any) -> dict[str, Any]:
    body = chat_body("one", model="solo", stream=False, **fields)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", json=body, headers=headers) as response,
    ):
        choice: dict[str, Any] = (await response.json())["choices"][0]
        assert choice["finish_reason"] == "stop"
        message: dict[str, Any] = choice["message"]
        return message


@pytest.mark.parametrize("presentation", ["transcript", "answer", "reasoning"])
async def test_the_answer_ends_with_a_line_about_it(
    server: Server, provider: ScriptedProvider, tmp_path: Path, presentation: str
) -> None:
    """Streamed and not."""
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("First."))
    headers = {**TALK, "X-Presentation": presentation}
    with without_inserts(tmp_path):
        streamed = await ask(server.url, "one", model="solo", headers=headers)
        message = await whole(server, {**headers, "X-Conversation-Id": "another"})
    assert streamed.text.endswith(f"First.\n\n{LINE}")
    assert streamed.done
    assert message["content"] == streamed.text


async def test_open_webui_shows_it_and_it_does_not_come_back(
    server: Server, provider: ScriptedProvider, tmp_path: Path
) -> None:
    """The page sends the line back with the answer: the memory is found all the same, and no model reads it."""
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."))
    with without_inserts(tmp_path):
        first = await ask(server.url, "one", model="solo", headers=PAGE)
        assert first.text.endswith(LINE)
        talk = [{"role": "user", "content": "one"}, {"role": "assistant", "content": first.text}]
        await ask(server.url, [*talk, {"role": "user", "content": "two"}], model="solo", headers=PAGE)
    told = [message["content"] for message in provider.exchanges[1].body["messages"] if message["role"] != "system"]
    assert told == ["one", "First.", "two"]


async def test_json_stays_json(server: Server, provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer("First."), ScriptedAnswer('{"a": 1}'))
    with without_inserts(tmp_path):
        message = await whole(server, TALK, response_format={"type": "json_object"})
    assert json.loads(message["content"]) == {"a": 1}
    assert LINE in message["reasoning_content"]


async def test_programs_get_an_event(server: Server, provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer("First."))
    body = {"model": "solo", "messages": [{"role": "user", "content": "one"}], "conversation": "talk"}
    with without_inserts(tmp_path):
        async with aiohttp.ClientSession() as session, session.post(f"{server.url}/v1/runs", json=body) as response:
            events = [json.loads(line[6:]) async for line in response.content if line.startswith(b"data: {")]
    last = [(event["type"], event.get("reason")) for event in events[-3:]]
    assert last == [("final", None), ("notice", "not_kept"), ("run_finished", "stop")]


async def test_earlier_turns_that_cannot_be_read_are_named_too(
    server: Server, provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."), ScriptedAnswer("Third."))
    await ask(server.url, "one", model="solo", headers=TALK)
    with closing(sqlite3.connect(tmp_path / "conversations.db", isolation_level=None)) as database:
        database.execute("ALTER TABLE aiostream_memories RENAME TO away")
        second = await ask(server.url, "two", model="solo", headers=TALK)
        database.execute("ALTER TABLE away RENAME TO aiostream_memories")
    assert second.text.endswith(f"Second.\n\n📌 *{NOT_RECALLED}*\n\n{LINE}")
    await ask(server.url, "three", model="solo", headers=TALK)
    told = [message["content"] for message in provider.exchanges[2].body["messages"] if message["role"] != "system"]
    assert told == ["one", "First.", "two", "Second.", "three"]


async def test_a_server_that_drains_writes_what_it_holds(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."))
    config = config_for(provider.base_url, sample_team("solo"))
    async with serving(config, tmp_path) as server:
        with without_inserts(tmp_path):
            await ask(server.url, "one", model="solo", headers=TALK)
        await drain(server.runner, Config(server=ServerConfig(drain_s=20.0)), Listening(()))
    async with serving(config, tmp_path) as server:
        await ask(server.url, "two", model="solo", headers=TALK)
    told = [message["content"] for message in provider.exchanges[1].body["messages"] if message["role"] != "system"]
    assert told == ["one", "First.", "two"]
