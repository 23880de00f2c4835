"""`aiostream-server teams try`: the same team, the same words, and no server."""

import asyncio
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from aiostream_server.cli.commands import cli
from tests.kit.process import Process, start
from tests.kit.scripted_provider import Gate, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.waiting import DEADLINE_S

SOLO = """
[models.default]
provider = "openai"
model = "m"
base_url = "{}"
"""
PIPE = asyncio.subprocess.PIPE


def config(folder: Path, base_url: str, *teams: str, more: str = "") -> Sequence[str]:
    path = folder / "server.toml"
    entries = (f'[[teams]]\nid = "{team}"\nfactory = "tests.kit.sample_teams:{team}"\n' for team in teams)
    path.write_text(SOLO.format(base_url) + "".join(entries) + more, "utf-8")
    return "--config", str(path)


@asynccontextmanager
async def trying(folder: Path, *arguments: str, stdin: int = PIPE) -> AsyncIterator[Process]:
    state = folder / "state"
    process = await start("teams", "try", *arguments, state_directory=state, stdin=stdin)
    try:
        async with asyncio.timeout(3 * DEADLINE_S):  # with the imports of a start
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    assert not state.exists(), "nothing is kept"


async def outcome(folder: Path, *arguments: str, said: str = "") -> tuple[int | None, str, str]:
    async with trying(folder, *arguments) as process:
        out, errors = await process.communicate(said.encode())
    return process.returncode, out.decode(), errors.decode()


async def test_a_team_answers_word_by_word_as_it_would_in_a_chat(tmp_path: Path, provider: ScriptedProvider) -> None:
    gates = Gate(), Gate()
    provider.script(ScriptedAnswer("one ", gates[0], "two ", gates[1], "three"))
    async with trying(tmp_path, "solo", "hi", *config(tmp_path, provider.base_url, "solo")) as process:
        assert process.stdout is not None
        for word, gate in zip((b"one ", b"two "), gates, strict=True):
            await process.stdout.readuntil(word)  # the rest has not left the provider
            gate.open()
        await process.stdout.readuntil(b"three")
        assert await process.wait() == 0


async def test_the_demo_answers_a_question_from_stdin(tmp_path: Path) -> None:
    status, out, errors = await outcome(tmp_path, "auto", "-", said="What is 15% of 850?\n")
    assert (status, errors) == (0, "")
    assert "🎯 Supervisor → General assistant" in out
    assert "⚡ calculate\n   15% of 850" in out
    assert "✅ Assistant\n15% of 850 is 127.5." in out


async def test_an_unknown_team_is_one_line(tmp_path: Path) -> None:
    status, out, errors = await outcome(tmp_path, "nope", "hi")
    there_are = "there are: auto, general, data (no --config was given: these are the built-in teams)"
    assert (status, out, errors) == (1, "", f"there is no team 'nope'; {there_are}\n")


def test_without_a_question_nothing_is_started() -> None:
    result = CliRunner().invoke(cli, ["teams", "try", "auto", "-"], input=" \n")
    assert result.exit_code == 2
    assert "there is no question" in result.stderr


async def test_ctrl_c_cancels_the_run_at_the_provider(tmp_path: Path, provider: ScriptedProvider) -> None:
    provider.script(ScriptedAnswer("one ", Stall()))
    async with trying(tmp_path, "solo", "hi", *config(tmp_path, provider.base_url, "solo")) as process:
        assert process.stdout is not None
        await process.stdout.readuntil(b"one ")
        process.send_signal(signal.SIGINT)
        await provider.exchanges[0].closed.wait()
        _, errors = await process.communicate()
    assert (process.returncode, errors.decode().strip()) == (130, "cancelled")


async def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    async with trying(tmp_path, "deaf", "hi", *config(tmp_path, "http://127.0.0.1:9/v1", "deaf")) as process:
        assert process.stdout is not None
        await process.stdout.readuntil(b"listen")
        sent_at = time.monotonic()
        while process.returncode is None:  # a signal that comes before the last one is handled does not count
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.1)
        assert process.returncode == 130
    assert time.monotonic() - sent_at < 4.5, "it waited for the five seconds that the run has"


async def test_a_team_that_asks_is_answered_until_there_are_no_more_replies(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    provider.script(ScriptedAnswer("first draft"), ScriptedAnswer("second draft"))
    found = config(tmp_path, provider.base_url, "until_approved")
    async with trying(tmp_path, "until_approved", "write", "--presentation", "answer", *found) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdout.readuntil(b"first draft")
        process.stdin.write("shorter, bitte schön\n".encode())
        await process.stdout.readuntil(b"second draft")
        _, errors = await process.communicate(b"")  # the end of the input
    assert process.returncode == 0
    assert errors.decode().count("Person waits for your reply\n> ") == 2
    assert errors.endswith(b"\n[no reply]\n")
    assert "shorter, bitte schön" in str(provider.exchanges[1].body)


async def test_a_mistake_is_one_line_and_other_teams_may_be_broken(tmp_path: Path) -> None:
    found = config(tmp_path, "http://127.0.0.1:9/v1", "failing", "nosuch")
    failing, nosuch = await asyncio.gather(
        outcome(tmp_path, "failing", "hi", "--verbose", *found), outcome(tmp_path, "nosuch", "hi", *found)
    )
    status, out, errors = failing
    assert status == 1
    assert out.startswith("❌ ")
    assert len(out.splitlines()) == 1
    assert "OSError" in out
    assert "Traceback" in errors, "only where that is asked for"
    status, out, errors = nosuch
    assert (status, out, len(errors.splitlines())) == (1, "", 1)
    assert '"tests.kit.sample_teams:nosuch" cannot be imported' in errors


async def test_a_question_to_the_person_is_shown_once(tmp_path: Path, provider: ScriptedProvider) -> None:
    provider.script(ScriptedAnswer("first draft"))
    found = config(tmp_path, provider.base_url, "until_approved")
    async with trying(tmp_path, "until_approved", "write", *found) as process:
        out, errors = await process.communicate(b"")
    assert "🙋 Person waits for your answer\n" in out.decode()
    assert errors.decode() == "> \n[no reply]\n"


async def test_pictures_stay_when_their_links_have_ended(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    status, out, errors = await outcome(tmp_path, "data", "Plot total sales by region as a bar chart")
    assert status == 0, errors
    assert "🖼 " in out
    found = re.search(r"links in the answer end with this command; the files are kept in (\S+): (.+)\]", errors)
    assert found is not None, errors
    folder = Path(found[1])
    table, picture = (folder / name for name in found[2].split(", "))
    assert table.read_text().startswith("region,")
    assert picture.read_bytes().startswith(b"\x89PNG")
    shutil.rmtree(folder)


async def test_the_reason_of_an_unusable_tool_is_shown(tmp_path: Path, provider: ScriptedProvider) -> None:
    team = '[[teams]]\nid = "helper"\nfactory = "tests.tools_for_teams.teams:helper"\ntools = ["files"]\n'
    tool = '[tools.files]\nkind = "mcp"\ncommand = "no-such-program"\n'
    found = config(tmp_path, provider.base_url, more=team + tool)
    status, out, errors = await outcome(tmp_path, "helper", "hi", *found)
    assert status == 1
    assert "mcp_server_unreachable" in out
    assert re.search(r"mcp_server_unreachable .*reason='no-such-program: no such program'", errors), errors
    assert len(errors.splitlines()) == 1
