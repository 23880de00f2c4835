"""A bug of our own: the client is not left hanging, and the log tells where it is, but nothing of what was said."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from aiostream_server.events import Answer, Entry, Error, Event, RunFinished, Token, TokenCount
from aiostream_server.present.shown import Channel, Shown
from aiostream_server.protocols import dialect
from aiostream_server.protocols.chat.chunks import ChunkEncoder
from aiostream_server.protocols.chat.stream import ChatFrames
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import asking, chat_body, config_for, sample_team, serving, until_idle

CANARY = "canary-45c48cce2e"


class FailingPresenter:
    """Shows what it is given, until it is given the canary."""

    def show(self, event: Event) -> Iterator[Shown]:
        content = getattr(event, "content", "")
        if CANARY in content:
            raise KeyError(content)
        yield Shown(content)

    def overdue(self) -> Iterator[Shown]:
        return iter(())

    def continued(self, token: Token) -> Channel | None:
        return None


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "new_presenter", lambda *_: FailingPresenter())


@pytest.mark.usefixtures("failing")
async def test_a_presenter_that_fails_in_mid_stream_hangs_up_and_ends_the_run(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("before ", CANARY, Stall(), pause_s=0.05))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            with capture_logs() as logs:
                async with asking(server.url, "hi", model="solo") as answer:
                    with pytest.raises(aiohttp.ClientPayloadError):  # no end that looks like one
                        await answer.read_all()
                await asyncio.wait_for(provider.exchanges[0].closed.wait(), 30)
                await until_idle(server)
    assert "before " in answer.text
    assert not answer.done
    (line,) = [line for line in logs if line["event"] == "stream_failed"]
    assert line["log_level"] == "error"
    assert line["exception"] == "KeyError"
    assert "test_failures.py" in line["places"][-1]
    assert CANARY not in str([line for line in logs if line["log_level"] != "debug"])


@pytest.mark.usefixtures("failing")
async def test_a_presenter_that_fails_before_the_headers_is_500_and_tells_nothing(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(CANARY))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            body = chat_body("hi", model="solo") | {"stream": False}
            with capture_logs() as logs:
                async with (
                    aiohttp.ClientSession() as session,
                    session.post(f"{server.url}/v1/chat/completions", json=body) as response,
                ):
                    assert response.status == 500
                    error = (await response.json())["error"]
    assert error["code"] == "internal_error"
    assert "KeyError" not in error["message"]
    assert CANARY not in error["message"]
    (line,) = [line for line in logs if line["event"] == "request_failed"]
    assert line["exception"] == "KeyError"
    assert CANARY not in str([line for line in logs if line["log_level"] != "debug"])


class Showing:
    """Shows one thing."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown

    def show(self, event: Event) -> Iterator[Shown]:
        if isinstance(event, Answer):
            yield self._shown

    def overdue(self) -> Iterator[Shown]:
        return iter(())

    def continued(self, token: Token) -> Channel | None:
        return None


def encoded(shown: Shown) -> list[bytes]:
    frames = ChatFrames(Showing(shown), ChunkEncoder("id", 1, "m"), include_usage=False)
    return frames.encode([Entry(1, 0.0, Answer("A", "x"))]).split(b"\n\n")[:-1]


def test_long_text_is_several_frames_and_a_block_is_one() -> None:
    text = "ü" * 9_000
    assert len(encoded(Shown(text))) == 3
    assert len(encoded(Shown(text, channel="reasoning"))) == 3
    assert len(encoded(Shown(text, is_block=True))) == 1


def test_no_frame_is_longer_than_open_webui_takes_whatever_a_tool_answered() -> None:
    """128 KiB, measured; escaped, a character may be twelve bytes."""
    frames = encoded(Shown("😀" * 20_000, is_block=True))
    assert max(map(len, frames)) < 64 * 1024
    assert sum(frame.count(rb"\ud83d\ude00") for frame in frames) == 20_000


def test_a_failed_run_ends_with_its_error() -> None:
    frames = ChatFrames(Showing(Shown("")), ChunkEncoder("id", 1, "m"), include_usage=True)
    entries = [Entry(1, 0.0, Error("c", "m")), Entry(2, 0.0, RunFinished("error", TokenCount(1, 2), 0.1))]
    lines = frames.encode(entries).split(b"\n\n")
    assert b'"total_tokens":3' in lines[0]
    assert b'{"index":0,"delta":{"content":""},"finish_reason":"error"}' in lines[1]
    assert lines[1].endswith(b'"error":{"message":"m","type":"server_error","param":null,"code":"c"}}')
    assert lines[2:] == [b"data: [DONE]", b""]
