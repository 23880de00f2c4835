"""The server as a process: it starts, serves, logs, and ends properly."""

import asyncio
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.kit.process import serving_process, start
from tests.kit.scripted_provider import HttpError, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking
from tests.service.stopping import NOISE_S, until_refused

CANARY = "canary-d41d8cd98f"


def config_toml(base_url: str, loop: str = "uvloop") -> str:
    return f"""
        [server]
        port = 0
        loop = "{loop}"
        log_format = "json"
        drain_s = 0.3
        [models.default]
        provider = "openai"
        model = "scripted"
        base_url = "{base_url}"
        [[teams]]
        id = "solo"
        factory = "tests.kit.sample_teams:solo"
        [[teams]]
        id = "failing"
        factory = "tests.kit.sample_teams:failing"
    """


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_every_stream_properly_and_the_status_is_0(
    tmp_path: Path, loop: str, number: signal.Signals
) -> None:
    async with ScriptedProvider() as provider:
        provider.script(lambda _: ScriptedAnswer("a ", Stall()))
        async with serving_process(config_toml(provider.base_url, loop), tmp_path) as server:
            streams = [asking(server.url, "hi", model="solo") for _ in range(10)]
            answers = [await stream.__aenter__() for stream in streams]
            for answer in answers:
                await anext(answer.pieces())
            started = time.monotonic()
            server.process.send_signal(number)
            await asyncio.gather(*(answer.read_all() for answer in answers))
            for stream in streams:
                await stream.__aexit__(None, None, None)
            assert await server.end() == 0
            assert time.monotonic() - started < 0.3 + NOISE_S
        assert all(answer.done and answer.finish_reasons == ["error"] for answer in answers)
        assert [line["outcome"] for line in server.named("run_finished")] == ["interrupted"] * 10


async def test_each_run_is_one_log_line_without_prompts_and_answers(tmp_path: Path) -> None:
    """Every line of a run carries the request's id and the run's."""
    async with ScriptedProvider() as provider:
        provider.script(
            ScriptedAnswer(f"answer {CANARY}", usage=(11, 7)), HttpError(400, {"error": {"message": CANARY}})
        )
        async with serving_process(
            config_toml(provider.base_url) + '\n[models.keyed]\nprovider="openai"\nmodel="m"\napi_key_env="K"',
            tmp_path,
            K=f"sk-{CANARY}",
        ) as server:
            headers = {"X-Request-ID": "my-request-1", "Authorization": f"Bearer {CANARY}"}
            good = await ask(server.url, f"question {CANARY}", model="solo", headers=headers)
            bad = await ask(server.url, f"question {CANARY}", model="solo")
            failing = await ask(server.url, f"question {CANARY}", model="failing")
            server.process.terminate()
            assert await server.end() == 0
    assert CANARY in good.text
    assert good.response.headers["X-Request-ID"] == "my-request-1"
    lines = server.named("run_finished")
    assert [line["outcome"] for line in lines] == ["stop", "error", "error"]
    first = lines[0]
    assert first["request_id"] == "my-request-1"
    assert first["run_id"] == good.run_id
    assert first["team"] == "solo"
    assert first["agents"] == ["Solo"]
    assert first["prompt_tokens"] == 11
    assert first["completion_tokens"] == 7
    assert 0 < first["time_to_first_token_s"] <= first["duration_s"]
    assert lines[1]["run_id"] == bad.run_id
    assert lines[1]["error"] == "model_failed"
    assert lines[2]["run_id"] == failing.run_id
    assert CANARY not in "\n".join(server.lines)
    assert all(line["level"] != "error" for line in server.events), server.lines


EXPECTING = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
)


async def test_malformed_requests_and_clients_that_leave_do_not_fill_the_log(tmp_path: Path) -> None:
    async with serving_process(config_toml("http://127.0.0.1:9/v1"), tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
            assert b" 400 " in await reader.readline()
            writer.close()
        for _ in range(20):  # aiohttp answers such a header before the server's own code runs
            with socket.create_connection(("127.0.0.1", port)) as leaving:
                leaving.sendall(EXPECTING)
        server.process.terminate()
        assert await server.end() == 0
    assert len(server.lines) < 8, server.lines


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """The run ignores its cancellation, and may take 25 s after the first signal."""
    config = '[server]\nport = 0\n[[teams]]\nid = "deaf"\nfactory = "tests.kit.sample_teams:deaf"\n'
    async with serving_process(config, tmp_path) as server, asking(server.url, "hi", model="deaf") as answer:
        await anext(answer.pieces())
        server.process.terminate()
        await until_refused(server)
        started = time.monotonic()
        server.process.terminate()
        assert await server.end() == 130
        assert time.monotonic() - started < NOISE_S


async def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start("serve", state_directory=tmp_path, extra={"AIOSTREAM_SERVER__PORT": str(port)})
        _, errors = await process.communicate()
    assert process.returncode == 1
    last = errors.decode().strip().splitlines()[-1]
    assert last.startswith(f"[server] cannot listen on 127.0.0.1 port {port}: Address already in use; end what ")
    assert b"Traceback" not in errors


async def test_without_keys_no_other_address_is_bound(tmp_path: Path) -> None:
    process = await start("serve", state_directory=tmp_path, extra={"AIOSTREAM_SERVER__HOST": "0.0.0.0"})
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"aiostream-server keys create" in errors
    assert b"Traceback" not in errors
