"""The whole result of a query behind a signed link in the answer, over real sockets, for every kind of client."""

import csv
import io
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from autogen_agentchat.agents import AssistantAgent

from aiostream_server.config.model import DatabaseConfig, TeamConfig
from aiostream_server.config.server import FilesConfig, ServerConfig
from aiostream_server.events import Answer, ToolResult
from aiostream_server.events.breaks import without_breaks
from aiostream_server.teams.context import TeamContext
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, serving, until_idle
from tests.kit.waiting import wait_for
from tests.teams.asking import Stage

LINK = re.compile(r"\[([^\]]*)\]\((http://[^)]*)\) \(([^\n]*)\)")
CUSTOMERS = "SELECT id, name, segment FROM customers ORDER BY id"
FIRST = "SELECT id FROM regions AS r CROSS JOIN (SELECT 1 AS one) AS o ORDER BY id LIMIT"
WEB_UI = {"X-OpenWebUI-User-Id": "u1", "X-OpenWebUI-Chat-Id": "chat-1"}


def own_team(context: TeamContext) -> AssistantAgent:
    """A user's agent with the tool `sql`, which answers in words of its own."""
    return AssistantAgent(
        "Clerk", context.model(), workbench=context.tools(), reflect_on_tool_use=True, max_tool_iterations=9
    )


def plain_team(context: TeamContext) -> AssistantAgent:
    """A user's agent that answers with the tool's result."""
    return AssistantAgent("Clerk", context.model(), workbench=context.tools())


def drafted(sql: str = CUSTOMERS) -> ScriptedAnswer:
    return ScriptedAnswer(Call("query", {"sql": sql}, "call_1"))


def called(sql: str, call_id: str = "c1") -> ScriptedAnswer:
    return ScriptedAnswer(Call("db_query", {"sql": sql}, call_id))


async def download(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes, Mapping[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.read(), response.headers


def read(content: bytes, encoding: str = "utf-8") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(encoding), newline=""), strict=True))


def database_of(path: Path, rows: Iterable[tuple[object, ...]], **limits: Any) -> DatabaseConfig:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (n INTEGER, s TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.commit()
    return DatabaseConfig.model_validate({"url": f"sqlite:///{path}", **limits})


@asynccontextmanager
async def staged(state: Path, database: DatabaseConfig | None = None, **sections: Any) -> AsyncIterator[Stage]:
    if database is not None:
        sections["database"] = {"sales": database}
    teams = (
        TeamConfig(
            id="data",
            factory="aiostream_server.teams.data:build",
            roles={"SQLAgent": "thinking", "ValidationAgent": "validation"},
            answer_from=("AnalysisAgent",),
            settings={"charts": False},
        ),
        TeamConfig(id="own", factory="tests.teams.test_query_results:own_team", tools=("db",)),
        TeamConfig(id="plain", factory="tests.teams.test_query_results:plain_team", tools=("db",)),
    )
    async with ScriptedProvider() as provider:
        config = config_for(provider.base_url, *teams, tools={"db": {"kind": "sql"}}, **sections)
        async with serving(config, state) as server:
            yield Stage(server, provider, "Which customers are there?")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all tests, so that the shop is built once."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
async def stage(state: Path) -> AsyncIterator[Stage]:
    async with staged(state) as opened:
        yield opened


@pytest.mark.parametrize("headers", [{}, WEB_UI, {"X-Presentation": "answer"}, {"X-Presentation": "reasoning"}])
async def test_the_answer_ends_with_a_link_to_every_row(stage: Stage, headers: dict[str, str]) -> None:
    text = await stage.ask(drafted(), ScriptedAnswer("Sixty ", "customers."), headers=headers)
    ((name, url, about),) = LINK.findall(text)
    assert without_breaks(text).endswith(f"Sixty customers.\n\n[{name}]({url}) ({about})")
    assert (name, about) == ("shop.csv", "60 rows: id integer, name text, segment text")
    status, content, told = await download(url)
    assert status == 200
    assert told["Content-Type"] == "text/csv; charset=utf-8"
    assert told["Content-Disposition"] == "attachment; filename*=UTF-8''shop.csv"
    header, *rows = read(content)
    assert (header, len(rows), rows[0]) == (["id", "name", "segment"], 60, ["1", "Ada Adler", rows[0][2]])
    answer = next(event for event in stage.told() if isinstance(event, Answer))
    assert answer.content.endswith(f"]({url}) ({about})")
    assert all("/v1/files" not in str(sent.body) for sent in stage.provider.exchanges), "no model sees the link"
    assert "The user gets all rows as a file" in str(stage.provider.exchanges[-1].body)


async def test_a_json_answer_stays_json(stage: Stage) -> None:
    """The link is among what the team said before."""
    stage.provider.script(drafted(), ScriptedAnswer("Sixty."), ScriptedAnswer('{"customers": 60}'))
    body = {
        "model": "data",
        "messages": [{"role": "user", "content": "How many customers?"}],
        "response_format": {"type": "json_object"},
    }
    url = f"{stage.server.url}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        answer = await response.json()
    assert json.loads(answer["choices"][0]["message"]["content"]) == {"customers": 60}


async def test_the_runs_api_has_the_link_in_the_answer(stage: Stage) -> None:
    stage.provider.script(drafted(), ScriptedAnswer("Sixty."))
    async with aiohttp.ClientSession() as session:
        asked = {"model": "data", "background": True, "messages": [{"role": "user", "content": "Which customers?"}]}
        async with session.post(f"{stage.server.url}/v1/runs", json=asked) as response:
            run = await response.json()
        async with session.get(f"{stage.server.url}/v1/runs/{run['id']}/events") as events:
            told = (await events.read()).decode()
    found = set(re.findall(r"http://[^)\"\\]*/v1/files/[^)\"\\]*", told))
    (url,) = found
    assert (await download(url))[0] == 200


async def test_the_link_is_the_only_way_for_others(stage: Stage) -> None:
    text = await stage.ask(drafted(), ScriptedAnswer("Sixty."), headers=WEB_UI)
    ((_, url, _),) = LINK.findall(text)
    bare = url.partition("?")[0]
    assert (await download(bare, WEB_UI))[0] == 200, "its owner"
    assert (await download(bare, {"X-OpenWebUI-User-Id": "u2"}))[0] == 404
    assert (await download(url[:-1]))[0] == 404


async def test_one_value_needs_no_file(stage: Stage) -> None:
    text = await stage.ask(drafted("SELECT count(*) AS n FROM customers"), ScriptedAnswer("Sixty."))
    assert text.endswith("Sixty.")


async def test_a_conversation_goes_on_from_an_answer_with_a_link(stage: Stage) -> None:
    """Open WebUI sends the shown answer back. The server recognises it and resumes the team's state."""
    headers = WEB_UI | {"X-OpenWebUI-Chat-Id": "chat-2"}
    text = await stage.ask(drafted(), ScriptedAnswer("Sixty."), headers=headers)
    history = [
        {"role": "user", "content": "Which customers are there?"},
        {"role": "assistant", "content": text},
        {"role": "user", "content": "And the smallest?"},
    ]
    stage.provider.script(drafted(), ScriptedAnswer("Ben."))
    before = len(stage.provider.exchanges)
    await ask(stage.server.url, history, model="data", headers=headers)
    sent = stage.provider.exchanges[before].body["messages"]
    assert [message["role"] for message in sent].count("tool") == 1
    assert "/v1/files" not in str(sent)


async def test_a_team_with_the_sql_tool_answers_with_the_last_few_results(stage: Stage) -> None:
    calls = [called(f"{FIRST} {n}", f"c{n}") for n in range(1, 5)]
    text = await stage.ask(*calls, ScriptedAnswer("Done."), model="own")
    assert [about for _, _, about in LINK.findall(text)] == [
        "2 rows: id integer",
        "3 rows: id integer",
        "4 rows: id integer",
    ]
    results = [event.content for event in stage.told() if isinstance(event, ToolResult)]
    assert results[0] == "| id |\n| ---: |\n| 1 |", "one row is no file"
    assert results[1].endswith("| 2 |\n\nThe user gets all rows as a file, below the answer.")
    assert "\n| id |\n" in text
    assert "```\n| id |" not in text, "the table is shown as a table"


async def test_the_rows_that_a_tools_answer_leaves_out_are_in_its_file(stage: Stage) -> None:
    text = await stage.ask(called("SELECT id FROM orders ORDER BY id"), model="plain")
    assert "… and 1,080 more rows" in text
    ((_, url, about),) = LINK.findall(text)
    assert about == "1,280 rows: id integer"
    assert len(read((await download(url))[1])) == 1_281


async def test_a_file_that_is_cut_says_so(tmp_path: Path) -> None:
    rows = ((n, "x" * 1_000) for n in range(2_000))
    database = database_of(tmp_path / "it.db", rows, result_bytes=200_000)
    async with staged(tmp_path, database) as stage:
        text = await stage.ask(drafted("SELECT n, s FROM t ORDER BY n"), ScriptedAnswer("Many."))
        ((name, url, about),) = LINK.findall(text)
        assert (name, about) == (
            "sales-first-198-rows.csv",
            "the first 198 rows, as many as 195 KiB hold: n integer, s text",
        )
        assert len(read((await download(url))[1])) == 199


async def test_letters_beyond_ascii_are_right_in_excel_too(tmp_path: Path) -> None:
    """Excel takes a file for UTF-8 only where it begins with a byte order mark."""
    hostile = ["Müller", "=cmd|' /C calc'!A0", "a\nb", None, "", "[x](http://evil)", "日本"]
    database = database_of(tmp_path / "it.db", enumerate(hostile))
    async with staged(tmp_path, database) as stage:
        text = await stage.ask(drafted('SELECT n, s AS "Städte | <b>" FROM t ORDER BY n'), ScriptedAnswer("Seven."))
        ((_, url, about),) = LINK.findall(text)
    assert about == r"7 rows: n integer, Städte \| &lt;b&gt; text"
    async with staged(tmp_path, database) as stage:
        content = (await download(f"{stage.server.url}/{url.split('/', 3)[3]}"))[1]
    assert content.startswith(b"\xef\xbb\xbfn,")
    found = [row[1] for row in read(content, "utf-8-sig")[1:]]
    assert found == ["Müller", "'=cmd|' /C calc'!A0", "a\nb", "", "", "[x](http://evil)", "日本"]


@pytest.mark.parametrize("setting", ["result_bytes", "max_file_bytes"])
async def test_without_room_for_files_the_answer_is_the_same(tmp_path: Path, setting: str) -> None:
    limits = {"result_bytes": 0} if setting == "result_bytes" else {}
    database = database_of(tmp_path / "it.db", ((n, "x") for n in range(300)), **limits)
    sections = {"files": FilesConfig(max_file_bytes=10)} if setting == "max_file_bytes" else {}
    async with staged(tmp_path, database, **sections) as stage:
        text = await stage.ask(drafted("SELECT n, s FROM t ORDER BY n"), ScriptedAnswer("Many."))
    assert text.endswith("Many.")
    assert "… and 250 more rows" in text
    assert not [path.name for path in (tmp_path / "files").iterdir()], "nothing is left over"


async def test_links_begin_with_the_public_url(tmp_path: Path) -> None:
    async with staged(tmp_path, server=ServerConfig(public_url="https://agents.example.com/llm")) as stage:
        text = await stage.ask(drafted(), ScriptedAnswer("Sixty."))
    assert "[shop.csv](https://agents.example.com/llm/v1/files/file-" in text


async def test_a_stopped_run_leaves_no_file(tmp_path: Path) -> None:
    database = database_of(tmp_path / "it.db", ((n, "x" * 500) for n in range(3_000)), statement_timeout_s=60)
    async with staged(tmp_path, database) as stage:
        stage.provider.script(drafted("SELECT a.n, b.s FROM t a, t b"))
        async with aiohttp.ClientSession() as session:
            body = {"model": "data", "stream": True, "messages": [{"role": "user", "content": "All?"}]}
            async with session.post(f"{stage.server.url}/v1/chat/completions", json=body):
                folder = tmp_path / "files"
                await wait_for(lambda: any(path.stat().st_size for path in folder.iterdir()), "a file grows")
        await until_idle(stage.server)
        assert not list(folder.iterdir())
