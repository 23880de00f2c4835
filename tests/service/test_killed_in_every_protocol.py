"""`kill -9` of a process, with viewers of every protocol at another one.

Each of their streams ends as its protocol says: because the run ends, or behind the turn that has begun again.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.shared_processes import processes, sharing_toml
from tests.kit.waiting import wait_for
from tests.service.test_cluster import ticking

pytestmark = pytest.mark.needs("redis")

Frame = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """How a run is asked for at one process, and viewed at another: at the path that `view` makes of the first frame;
    without it, by the same request. `check` is given all frames of a viewer, and whether the turn has begun again."""

    path: str
    body: Frame
    check: Callable[[list[Frame], bool], None]
    headers: Mapping[str, str] | None = None
    view: Callable[[Frame], str] | None = None


def of_chat(frames: list[Frame], again: bool) -> None:
    ends = [frame["choices"][0]["finish_reason"] for frame in frames]
    assert ends[:-1] == [None] * (len(frames) - 1)
    assert (ends[-1], "error" in frames[-1]) == (("stop", False) if again else ("error", True))
    text = "".join(frame["choices"][0]["delta"].get("content") or "" for frame in frames)
    assert text.endswith("Two, again.") is again


def of_responses(frames: list[Frame], again: bool) -> None:
    numbers = [frame["sequence_number"] for frame in frames]
    assert numbers == sorted(set(numbers))
    assert frames[-1]["type"] == ("response.completed" if again else "response.failed")
    opened = [frame["output_index"] for frame in frames if frame["type"] == "response.output_item.added"]
    assert opened == [frame["output_index"] for frame in frames if frame["type"] == "response.output_item.done"]
    items = frames[-1]["response"]["output"]
    assert len(items) == len(opened)
    if again:
        assert items[-1]["content"][0]["text"].endswith("Two, again.")


def of_ai_sdk(frames: list[Frame], again: bool) -> None:
    kinds = [frame["type"] for frame in frames]
    assert kinds[0] == "start"
    assert kinds[-1] == ("finish" if again else "error")
    for channel in ("text", "reasoning"):
        assert kinds.count(f"{channel}-start") == kinds.count(f"{channel}-end")
    assert ("data-restarted" in kinds) is again
    if again:
        last = max(place for place, kind in enumerate(kinds) if kind == "text-start")
        assert "".join(frame.get("delta", "") for frame in frames[last:]) == "Two, again."


def of_ag_ui(frames: list[Frame], again: bool) -> None:
    kinds = [frame["type"] for frame in frames]
    assert kinds[0] == "RUN_STARTED"
    assert kinds[-1] == ("RUN_FINISHED" if again else "RUN_ERROR")
    for kind in ("TEXT_MESSAGE", "REASONING", "REASONING_MESSAGE"):
        assert kinds.count(f"{kind}_START") == kinds.count(f"{kind}_END")
    if again:
        last = max(place for place, kind in enumerate(kinds) if kind == "TEXT_MESSAGE_START")
        assert "".join(frame.get("delta", "") for frame in frames[last:]) == "Two, again."


def of_a2a(frames: list[Frame], again: bool) -> None:
    state = frames[-1]["statusUpdate"]["status"]["state"]
    assert state == ("TASK_STATE_COMPLETED" if again else "TASK_STATE_FAILED")
    artifact = ""
    for update in (frame["artifactUpdate"] for frame in frames if "artifactUpdate" in frame):
        text = "".join(part.get("text", "") for part in update["artifact"]["parts"])
        artifact = artifact + text if update.get("append") else text
    assert (artifact == "Two, again.") is again


SAID: Frame = {"role": "user", "content": "hi"}
PART: Frame = {"id": "1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
MESSAGE: Frame = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "hi"}]}
AG_UI: Frame = {"threadId": "thread", "runId": "r1", "state": {}, "tools": [], "context": [], "forwardedProps": {}}

PROTOCOLS: Mapping[str, Asked] = {
    "chat": Asked(
        "/v1/chat/completions",
        {"model": "solo", "messages": [SAID], "stream": True},
        of_chat,
        {"Idempotency-Key": "k"},
    ),
    "responses": Asked(
        "/v1/responses",
        {"model": "solo", "input": "hi", "stream": True, "background": True},
        of_responses,
        view=lambda first: f"/v1/responses/{first['response']['id']}?stream=true",
    ),
    "ai_sdk": Asked(
        "/v1/ai-sdk/solo",
        {"id": "chat", "trigger": "submit-message", "messages": [PART]},
        of_ai_sdk,
        view=lambda _: "/v1/ai-sdk/solo/chat/stream",
    ),
    "ag_ui": Asked(
        "/v1/ag-ui/solo",
        AG_UI | {"messages": [{"id": "1", **SAID}]},
        of_ag_ui,
        view=lambda _: "/v1/ag-ui/solo/thread",
    ),
    "a2a": Asked(
        "/a2a/solo/message:stream",
        {"message": MESSAGE},
        of_a2a,
        {"A2A-Version": "1.0"},
        lambda first: f"/a2a/solo/tasks/{first['task']['id']}:subscribe",
    ),
}


class Viewer:
    """One stream, and what came of it. `is_whole`: it has ended, and was not broken off."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.data = b""
        self.is_whole = False

    async def read(self) -> None:
        with suppress(aiohttp.ClientError):
            async for piece in self.response.content.iter_any():
                self.data += piece
            self.is_whole = True

    def frames(self) -> list[Frame]:
        lines = [line[6:] for line in self.data.decode().splitlines() if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("restart", ["never", "turn"])
async def test_the_streams_of_a_killed_process_end_well_at_another(
    tmp_path: Path, provider: ScriptedProvider, shared_redis: RedisServer, redis_prefix: str, restart: str
) -> None:
    config = sharing_toml(shared_redis.url, provider, redis_prefix) + f'restart = "{restart}"\n'
    provider.script(*[ticking()] * len(PROTOCOLS), *[ScriptedAnswer("Two, ", "again.")] * len(PROTOCOLS))
    async with processes(config, tmp_path) as (here, there), AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(read_bufsize=2**20))
        reading: list[asyncio.Task[None]] = []
        viewers: dict[str, Viewer] = {}
        for name, asked in PROTOCOLS.items():
            own = Viewer(
                await stack.enter_async_context(
                    session.post(f"{here.url}{asked.path}", json=asked.body, headers=asked.headers)
                )
            )
            reading.append(asyncio.create_task(own.read()))
            await wait_for(lambda own=own: b"10 " in own.data, name)  # type: ignore[misc, arg-type]
            if asked.view is None:
                again = session.post(f"{there.url}{asked.path}", json=asked.body, headers=asked.headers)
            else:
                again = session.get(f"{there.url}{asked.view(own.frames()[0])}", headers=asked.headers)
            viewer = viewers[name] = Viewer(await stack.enter_async_context(again))
            assert viewer.response.status == 200, await viewer.response.text()
            reading.append(asyncio.create_task(viewer.read()))
        await wait_for(lambda: all(b"10 " in viewer.data for viewer in viewers.values()), "the answer elsewhere")
        here.process.kill()
        await asyncio.gather(*reading)
        for name, viewer in viewers.items():
            assert viewer.is_whole, name
            PROTOCOLS[name].check(viewer.frames(), restart == "turn")
            if name in ("chat", "responses", "ai_sdk"):
                assert viewer.data.endswith(b"data: [DONE]\n\n"), name
