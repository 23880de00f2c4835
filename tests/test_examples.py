"""The examples run as they stand, against a real server."""

import ast
import asyncio
import sys
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from tests.kit.scripted_provider import HttpError, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import config_for, sample_team, serving
from tests.kit.waiting import DEADLINE_S

STREAM_CLIENT = Path(__file__).parents[1] / "examples" / "stream_client.py"


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(STREAM_CLIENT),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONIOENCODING": "utf-8"},
    )


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await start(*arguments)
    out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode()


@pytest.mark.parametrize(
    ("question", "words"),
    [("What is 15% of 850?", "127.5"), ("Which region had the highest total sales?", "**East**")],
)
async def test_the_stream_client_prints_the_answer(tmp_path: Path, question: str, words: str) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        status, out, errors = await run(server.url, question)
    assert (status, errors) == (0, "")
    assert words in out


async def test_the_stream_client_prints_each_piece_as_it_comes(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", "two ", "three ", pause_s=0.3))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            process = await start(server.url, "hi", "solo")
            assert process.stdout is not None
            async with asyncio.timeout(DEADLINE_S):
                await process.stdout.readuntil(b"one ")
                assert len(provider.exchanges[0].left) == 1
                assert await process.stdout.read() == b"two three \n"
            assert await process.wait() == 0


async def test_the_stream_client_ends_with_the_error(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(HttpError(400, {"error": {"message": "out of order"}}))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            refused = await run(server.url, "hi", "nothing")
            failed = await run(server.url, "hi", "solo")
    assert (refused[0], failed[0]) == (1, 1)
    assert refused[2] == "there is no model 'nothing'; there are: auto, solo\n"
    assert "out of order" in failed[2]
    assert "Traceback" not in refused[2] + failed[2]


def test_the_stream_client_is_thirty_lines_of_plain_aiohttp() -> None:
    source = STREAM_CLIENT.read_text("utf-8")
    assert len(source.splitlines()) <= 30
    imported = {
        alias.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for alias in node.names
    }
    assert imported == {"aiohttp", "asyncio", "json", "sys"}
