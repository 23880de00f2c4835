"""`aiostream-server ask`: live, readable, the same with and without a terminal."""

import asyncio
import os
import pty
import re
import signal
from pathlib import Path

from aiostream_server.config.load import load_config
from tests.client.chaos import Fate, chaos
from tests.kit.process import serving_process, start
from tests.kit.scripted_provider import Gate, HttpError, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import config_for, sample_team, serving

SOLO = """
[server]
port = 0
[models.default]
provider = "openai"
model = "m"
base_url = "{}"
[[teams]]
id = "solo"
factory = "tests.kit.sample_teams:solo"
"""


async def _output(*arguments: str, folder: Path) -> tuple[int, str, str]:
    process = await start("ask", *arguments, state_directory=folder)
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


async def _on_a_terminal(*arguments: str, folder: Path) -> str:
    """What a person sees, colours and all."""
    ours, theirs = pty.openpty()
    process = await start("ask", *arguments, state_directory=folder, stdout=theirs, extra={"TERM": "xterm-256color"})
    os.close(theirs)
    loop, shown = asyncio.get_running_loop(), b""
    while True:
        try:
            piece = await loop.run_in_executor(None, os.read, ours, 65536)
        except OSError:  # the other end was closed
            break
        shown += piece
    os.close(ours)
    await process.communicate()
    return shown.decode()


async def test_both_demo_questions_get_the_right_answer(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        status, sums, _ = await _output("What is 15% of 850?", "--url", server.url, folder=tmp_path)
        assert status == 0
        _, sales, _ = await _output("Which region had the highest total sales?", "--url", server.url, folder=tmp_path)
    assert "🎯 Supervisor → General assistant" in sums
    assert "⚡ calculate\n   15% of 850" in sums
    assert "✅ Assistant\n15% of 850 is 127.5." in sums
    assert "🛡 ValidationAgent approved: one read-only SELECT" in sales
    assert "📦 4 rows\n   region  total_sales\n   East    169,168.25" in sales
    assert "✅ AnalysisAgent\nThe **East** region had the highest total sales: 169,168.25." in sales


def _without_link(text: str) -> str:
    """The link to the rows differs from run to run."""
    assert "/v1/files/" in text
    return re.sub(r"\(http://[^)]*/v1/files/[^)]*\)", "(LINK)", text)


async def test_a_terminal_adds_nothing_but_colours(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        question = "Which region had the highest total sales?"
        _, plain, _ = await _output(question, "--url", server.url, folder=tmp_path)
        coloured = await _on_a_terminal(question, "--url", server.url, folder=tmp_path)
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    text = re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace("\r\n", "\n")
    assert _without_link(text) == _without_link(plain)


async def test_words_are_shown_as_they_come(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        gates = Gate(), Gate()
        provider.script(ScriptedAnswer("one ", gates[0], "two ", gates[1], "three"))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            process = await start("ask", "hi", "--url", server.url, state_directory=tmp_path)
            assert process.stdout is not None
            for word, gate in zip((b"one ", b"two "), gates, strict=True):
                await process.stdout.readuntil(word)  # the rest has not left the provider
                gate.open()
            await process.stdout.readuntil(b"three")
            await process.communicate()


async def test_ctrl_c_cancels_the_run(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", Stall()))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            process = await start("ask", "hi", "--url", server.url, state_directory=tmp_path)
            assert process.stdout is not None
            await process.stdout.readuntil(b"one ")
            process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
            await provider.exchanges[0].closed.wait()
    assert process.returncode == 130
    assert errors.decode().strip() == "cancelled"


async def test_a_failure_is_one_line(tmp_path: Path) -> None:
    status, _, errors = await _output("hi", "--url", "http://127.0.0.1:9", folder=tmp_path)
    assert status == 1
    assert "127.0.0.1:9 does not answer" in errors
    async with serving(load_config(None, {}), tmp_path) as server:
        status, _, errors = await _output("hi", "--url", server.url, "--model", "missing", folder=tmp_path)
    assert status == 1
    assert errors.strip() == "Error: there is no model 'missing'; there are: auto, general, data"


async def test_a_failed_run_shows_why_and_has_status_1(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(HttpError(400))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            status, out, errors = await _output("hi", "--url", server.url, "--model", "solo", folder=tmp_path)
    assert status == 1
    assert out.startswith("❌ ")
    assert errors == ""


async def test_long_results_show_their_beginning_or_all(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        question = "Which region had the highest total sales?"
        _, short, _ = await _output(question, "--url", server.url, folder=tmp_path)
        _, full, _ = await _output(question, "--url", server.url, "--full", folder=tmp_path)
    assert "more lines" in short
    assert "more lines" not in full
    assert "REFERENCES customers" not in short
    assert "REFERENCES customers" in full


async def test_a_lost_connection_is_remarked_and_nothing_is_lost(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        question = "Which region had the highest total sales?"
        _, whole, _ = await _output(question, "--url", server.url, folder=tmp_path)
        async with chaos(server.url, Fate(1200, "reset"), Fate(700, "close")) as proxy:
            status, shown, errors = await _output(question, "--url", proxy.url, folder=tmp_path)
    assert (status, _without_link(shown)) == (0, _without_link(whole))
    assert re.fullmatch(r"(\n\[the connection .*; trying again\]\n){2}", errors)


async def test_a_run_that_the_server_ends_is_no_answer(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", Stall()))
        config = SOLO.format(provider.base_url).replace("port = 0", "port = 0\ndrain_s = 0.1")
        async with serving_process(config, tmp_path) as server:
            process = await start("ask", "hi", "--url", server.url, state_directory=tmp_path)
            assert process.stdout is not None
            await process.stdout.readuntil(b"one ")
            server.process.send_signal(signal.SIGTERM)
            _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode() == "Error: the run was interrupted on the server\n"


async def test_a_terminal_without_unicode_is_shown_what_it_can_show(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        process = await start(
            *("ask", "What is 15% of 850?", "--url", server.url),
            state_directory=tmp_path,
            extra={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        )
        out, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert "? Assistant\n15% of 850 is 127.5." in out.decode("latin-1")
