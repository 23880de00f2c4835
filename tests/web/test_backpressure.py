"""A viewer that reads slowly, or not at all, costs a bounded amount of memory, and does not slow others.

A stream that has nothing to say says so; and whatever is said, no line of it reaches 64 KiB.
"""

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import pytest
from aiohttp import web
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import TextMessage
from autogen_core.tools import FunctionTool

from aiostream_server.config.model import TeamConfig
from aiostream_server.teams.context import TeamContext
from tests.kit.scripted_provider import Call, Gate, Pause, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, asking, chat_body, config_for, sample_team, serving, until_idle
from tests.kit.waiting import DEADLINE_S
from tests.web.bare_client import connected, leave, question, until, until_held
from tests.web.connections import kept_for, the_run, transports
from tests.web.every_protocol import SHOWING_TOKENS, WAYS

MAX_COST_BYTES: Final = 512 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
MIB: Final = 1024**2
HEARTBEAT_S: Final = 0.2
CHAT: Final = "/v1/chat/completions"
RUNS: Final = "/v1/runs"
PRESENTATIONS: Final = ("transcript", "reasoning", "answer")
FLOOD: Final = ScriptedAnswer(*["x" * 4_000] * 5_000)  # 20 MB


def huge_result(context: TeamContext) -> AssistantAgent:
    """A tool that answers with the text in `settings`."""

    async def fill() -> str:
        """ScriptedAnswer at length."""
        return str(context.settings["text"])

    tool = FunctionTool(fill, name="fill", description="ScriptedAnswer at length.")
    return AssistantAgent("Solo", context.model(), tools=[tool])


class Speaker:
    """Not AutoGen's; says one long thing when it is done."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def run(self, *, task: Any) -> TaskResult:
        return TaskResult(messages=[*task, TextMessage(content=self._text, source="Speaker")])


def speaker(context: TeamContext) -> Speaker:
    return Speaker(str(context.settings["text"]))


def _team(name: str, text: str) -> TeamConfig:
    return TeamConfig(id=name.replace("_", "-"), factory=f"{__name__}:{name}", settings={"text": text})


@pytest.mark.parametrize("protocol", SHOWING_TOKENS)
async def test_a_viewer_that_does_not_read_costs_half_a_mebibyte_at_most(tmp_path: Path, protocol: str) -> None:
    """All that was said so far is what it was sent (and its own kernel took), and what its run is ahead of it."""
    async with ScriptedProvider() as provider:
        provider.script(FLOOD)
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            async with connected(server.url, WAYS[protocol].as_bytes()) as client:
                await until_held(provider)
                (transport,) = transports(server)
                said = the_run(server).log.size_bytes
                assert 100_000 < said < MAX_COST_BYTES
                assert kept_for(transport) < 160 * 1024
                assert transport.get_write_buffer_size() <= 32 * 1024
                leave(client, "RST")
            the_run(server).end("cancelled")
            await until_idle(server)


async def test_viewers_of_what_was_said_long_ago_do_not_hold_it_all(tmp_path: Path) -> None:
    """A late viewer is given a long log piece by piece: the process does not make a copy of it for each."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*["x" * 4_000] * 1_000))  # 4 MB
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            async with asking(server.url, "hi", model="solo") as answer:
                await answer.read_all()
            watch = f"GET {RUNS}/{answer.run_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            async with connected(server.url, watch), connected(server.url, watch):
                await until(lambda: len([t for t in transports(server) if kept_for(t) > 0]) == 2)
                await asyncio.sleep(0.2)
                assert all(kept_for(transport) < 160 * 1024 for transport in transports(server))


@pytest.mark.parametrize("protocol", SHOWING_TOKENS)
async def test_a_viewer_that_does_not_read_is_evicted_in_time(tmp_path: Path, protocol: str) -> None:
    config = {"server": {"write_timeout_s": 0.5}}
    async with ScriptedProvider() as provider:
        provider.script(FLOOD)
        async with serving(config_for(provider.base_url, sample_team("solo"), **config), tmp_path) as server:
            started = time.monotonic()
            async with connected(server.url, WAYS[protocol].as_bytes()):
                await until(lambda: server.state.registry.viewers == 1)
                await until(lambda: server.state.registry.viewers == 0)
                assert time.monotonic() - started >= 0.5
                await until(lambda: not transports(server))
            the_run(server).end("cancelled")  # `/v1/runs` goes on without a viewer


async def test_one_that_reads_slowly_but_steadily_is_kept(tmp_path: Path) -> None:
    """It needs three times as long as a viewer that does not read at all is given."""
    text = ["x" * 4_000] * 200
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*text))
        config = config_for(provider.base_url, sample_team("solo"), server={"write_timeout_s": 1.0})
        async with serving(config, tmp_path) as server, connected(server.url, question("solo")) as client:
            received = bytearray()
            started = time.monotonic()
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received += await asyncio.get_running_loop().sock_recv(client, 4_096)
                await asyncio.sleep(0.015)
            assert time.monotonic() - started > 3.0
    assert received.count(b"x") >= 4_000 * 200
    assert b"data: [DONE]" in received


async def test_when_all_viewers_are_slow_the_provider_is_slowed_and_goes_on_when_they_do(tmp_path: Path) -> None:
    tokens = [f"<{number:06}>" + "x" * 4_000 for number in range(4_000)]  # 16 MB: longer answers are cut
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*tokens))
        limits = {"max_log_bytes": 128 * MIB}
        config = config_for(provider.base_url, sample_team("solo"), limits=limits)
        async with serving(config, tmp_path) as server, asking(server.url, "hi", model="solo") as answer:
            await until_held(provider)
            held_at = len(provider.exchanges[0].left)
            # In the kernel's buffers, the provider's 4 MiB among them, and the client's.
            assert held_at < len(tokens) * 5 // 8, held_at
            assert the_run(server).log.size_bytes < 6 * MIB  # the client's kernel took most of that
            await answer.read_all()
    assert re.findall(r"<(\d{6})>", answer.text) == [f"{number:06}" for number in range(4_000)]


async def test_a_slow_viewer_slows_neither_the_run_nor_those_who_keep_up(tmp_path: Path) -> None:
    """The provider sends a token when the one before has arrived at the viewer that keeps up: a run that waited for the
    other viewer, which never reads, would hang."""
    gates = [Gate() for _ in range(200)]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*[step for gate in gates for step in ("x" * 4_000, gate)]))
        config = config_for(provider.base_url, sample_team("solo"), server={"write_timeout_s": 2 * DEADLINE_S})
        async with serving(config, tmp_path) as server, connected(server.url, question("solo", path=RUNS)) as slow:
            exchange = await provider.request()
            async with (
                asyncio.timeout(DEADLINE_S),
                aiohttp.ClientSession() as session,
                session.get(f"{server.url}{RUNS}/{the_run(server).id}/events") as response,
            ):
                waiting = iter(gates)
                async for line in response.content:
                    if line.startswith(b"event: token"):
                        next(waiting).open()
            assert next(waiting, None) is None
            assert exchange.complete
            assert the_run(server).finished is not None
            assert any(kept_for(transport) for transport in transports(server)), "the slow one is still there"
            leave(slow, "RST")


async def test_silence_is_broken_by_a_comment_in_every_interval(tmp_path: Path) -> None:
    """From the first second on, before the model says anything, and between two of its tokens; everywhere at once.

    Counted beside a timer of the same interval in the same event loop, which a busy machine slows as well.
    """
    ways = [(path, name) for path in (CHAT, RUNS) for name in (*PRESENTATIONS, None)]
    async with ScriptedProvider() as provider:
        provider.script(*[ScriptedAnswer(Pause(0.9), "alpha", Pause(0.9), "beta")] * len(ways))
        config = config_for(provider.base_url, sample_team("solo"), server={"heartbeat_s": HEARTBEAT_S})
        async with serving(config, tmp_path) as server:
            heard = await asyncio.gather(*(_beats(f"{server.url}{path}", name) for path, name in ways))
    for way, (before, after) in zip(ways, heard, strict=True):
        for beats in (before, after):
            assert beats.ours >= 3, (way, heard)
            assert beats.timers - 2 <= beats.ours <= beats.seconds / HEARTBEAT_S + 1, (way, heard)


class Beats(NamedTuple):
    """How often each beat in a silence of so many seconds."""

    seconds: float
    ours: int
    timers: int


async def _beats(url: str, presentation: str | None) -> tuple[Beats, Beats]:
    """Before the first token, and after it."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            ticks += 1

    headers = {"X-Presentation": presentation} if presentation else {}
    silences: list[Beats] = []
    comments, words = 0, [b"beta", b"alpha"]
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=chat_body("hi", model="solo"), headers=headers) as response,
    ):
        assert response.status == 200
        ticking, since = asyncio.create_task(tick()), time.monotonic()
        async for line in response.content:
            comments += line.startswith(b":")
            if words and words[-1] in line:
                words.pop()
                now = time.monotonic()
                silences.append(Beats(now - since, comments, ticks))
                comments, ticks, since = 0, 0, now
        ticking.cancel()
    before, after = silences
    return before, after


async def test_work_that_is_not_shown_is_silence(tmp_path: Path) -> None:
    """`answer` shows nothing of an agent that does not answer, however much that says."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*["x "] * 20, pause_s=0.05), ScriptedAnswer("the answer"))
        team = sample_team("pair", answer_from=["Reviewer"])
        config = config_for(provider.base_url, team, server={"heartbeat_s": HEARTBEAT_S})
        async with serving(config, tmp_path) as server:
            answer = await ask(server.url, "hi", model="pair", headers={"X-Presentation": "answer"})
    assert answer.comments >= 3


@pytest.mark.parametrize("worst", ["x", "😀", "\x00", '"', "`", "<details", "\n", "\u2028"], ids=ascii)
@pytest.mark.parametrize("what", ["token", "huge-result", "speaker"])
async def test_no_line_reaches_64_kib(tmp_path: Path, what: str, worst: str) -> None:
    """Of a text four times as long: one token of the provider's, a tool's result, and a team that does not stream."""
    text = f".{worst * (4 * MAX_LINE_BYTES // len(worst))}."
    async with ScriptedProvider() as provider:
        answers = {
            "token": ScriptedAnswer(text),
            "huge-result": ScriptedAnswer(Call("fill")),
            "speaker": ScriptedAnswer(),
        }
        provider.script(lambda _: answers[what])  # however often a busy machine lets it be asked
        teams = [sample_team("solo"), _team("huge_result", text), _team("speaker", text)]
        model = "solo" if what == "token" else what
        async with serving(config_for(provider.base_url, *teams), tmp_path) as server:
            for presentation in PRESENTATIONS:
                body = await _read(f"{server.url}{CHAT}", model, {"X-Presentation": presentation})
                assert b"data: [DONE]" in body
                assert max(map(len, body.split(b"\n"))) < MAX_LINE_BYTES
            body = await _read(f"{server.url}{RUNS}", model, {})
            assert max(map(len, body.split(b"\n"))) < MAX_LINE_BYTES
            if what != "huge-result":
                assert _tokens(body) == text


async def _read(url: str, model: str, headers: dict[str, str]) -> bytes:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=chat_body("hi", model=model), headers=headers) as response,
    ):
        assert response.status == 200
        return await response.read()


def _tokens(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]
    return "".join(event["content"] for event in events if event["type"] == "token")


async def test_a_client_that_does_not_read_a_whole_answer_is_evicted(tmp_path: Path) -> None:
    """Over a Unix socket, where the kernel sets no deadline. The transport has no copy of the body meanwhile."""
    provider, answer = ScriptedProvider(), ScriptedAnswer(*["x" * 4_000] * 500)
    async with provider:
        provider.script(answer, answer)
        config = config_for(provider.base_url, sample_team("solo"), server={"write_timeout_s": 0.5})
        async with serving(config, tmp_path) as server:
            path = str(tmp_path / "server.sock")
            await web.UnixSite(server.runner, path).start()
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(question("solo", stream=False))
            headers = await reader.readuntil(b"\r\n\r\n")
            length = int(headers.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            assert json.loads(body)["choices"][0]["message"]["content"].count("x") >= 2_000_000

            writer.write(question("solo", stream=False))
            await reader.readuntil(b"\r\n\r\n")
            (transport,) = transports(server)
            await until(lambda: transport.get_write_buffer_size() > 0)
            assert transport.get_write_buffer_size() <= MAX_LINE_BYTES
            async with asyncio.timeout(DEADLINE_S):
                await until(lambda: not transports(server))
            writer.close()
