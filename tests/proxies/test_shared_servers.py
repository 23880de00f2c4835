"""nginx and Caddy in front of servers that share their runs, with the examples' own lines for that: no sticky sessions,
and a machine that is gone without a word holds up no client for long."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from aiostream_server.config.model import AuthConfig
from tests.kit.cluster import shared_in
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, chat_body, config_for, sample_team, serving
from tests.kit.tls import Files
from tests.proxies.front import PROGRAMS, Program, proxying
from tests.proxies.test_streaming import CHAT, SNI, files
from tests.web.test_keys import make_key
from tests.web.watching import WORDS

__all__ = ["files"]

pytestmark = [pytest.mark.parametrize("program", PROGRAMS), pytest.mark.needs("redis")]
MANUAL = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text("utf-8")


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A port that answers no SYN, as a machine without power does."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = []
        for _ in range(4):  # until its queue is full
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
        for each in waiting:
            each.close()


@dataclass(frozen=True)
class Scene:
    servers: list[Server]
    client: httpx.AsyncClient


@asynccontextmanager
async def scene(
    program: Program, folder: Path, files: Files, redis: RedisServer, prefix: str, *others: str
) -> AsyncIterator[Scene]:
    key = make_key(folder / "keys.json", "all")
    async with ScriptedProvider() as provider:
        provider.script(lambda _: ScriptedAnswer(*WORDS, pause_s=0.02))
        auth = AuthConfig(keys_file=folder / "keys.json")
        runs = shared_in(redis.url, prefix)
        config = config_for(provider.base_url, sample_team("solo"), auth=auth, runs=runs)
        async with serving(config, folder / "1") as first, serving(config, folder / "2") as second:
            urls = [*others, first.url, second.url]
            with proxying(program, urls, folder, files, lines_for(program, urls)) as front:
                async with front.client(http2=True, key=key) as client:
                    yield Scene([first, second], client)


def lines_for(program: Program, urls: list[str]) -> dict[str, str]:
    """What the examples have as a comment, and the manual tells."""
    for line in ("fail_timeout=10s;", "fail_duration 10s"):
        assert line in MANUAL
    if program == "caddy":
        return {"#fail_duration 10s": "fail_duration 10s"}
    addresses = [url.removeprefix("http://") for url in urls]
    return {f"server {each} max_fails=0;": f"server {each} fail_timeout=10s;" for each in addresses}


async def test_any_server_answers_for_all(
    tmp_path: Path, files: Files, shared_redis: RedisServer, redis_prefix: str, program: Program
) -> None:
    async with scene(program, tmp_path, files, shared_redis, redis_prefix) as at:
        for _ in range(4):
            body = chat_body("hi", model="solo") | {"background": True}
            run = (await at.client.post("/v1/runs", json=body, extensions=SNI)).json()
            assert (await at.client.get(f"/v1/runs/{run['id']}", extensions=SNI)).json()["id"] == run["id"]
            rest = await asyncio.gather(
                *(
                    at.client.get(f"/v1/runs/{run['id']}/events?starting_after={after}", extensions=SNI)
                    for after in (0, 4)
                )
            )
            numbers = [[int(number) for number in re.findall(r"^id: (\d+)$", each.text, re.MULTILINE)] for each in rest]
            assert numbers[0] == list(range(1, numbers[0][-1] + 1))
            assert numbers[1] == numbers[0][4:]


async def test_a_machine_that_is_gone_holds_up_nobody_for_long(
    tmp_path: Path,
    files: Files,
    shared_redis: RedisServer,
    redis_prefix: str,
    program: Program,
    black_hole: str,
) -> None:
    """The first who is sent there waits; the others are spared for a while."""
    async with scene(program, tmp_path, files, shared_redis, redis_prefix, black_hole) as at:
        took = []
        for _ in range(8):
            began = time.monotonic()
            async with at.client.stream("POST", CHAT, json=chat_body("hi", model="solo"), extensions=SNI) as answer:
                took.append(time.monotonic() - began)  # without the run, which takes as long on a busy machine
                text = (await answer.aread()).decode()
            assert answer.status_code == 200, text
            assert text.endswith("data: [DONE]\n\n")
    slow = [round(each, 2) for each in took if each > 1]
    assert len(slow) <= 2, took
