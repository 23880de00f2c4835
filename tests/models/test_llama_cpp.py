"""A real model on this machine, asked through the server: its words as it writes them, and its process's whole life."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from autogen_core.models import UserMessage
from autogen_core.tools import ParametersSchema, ToolSchema
from pydantic import BaseModel
from structlog.testing import capture_logs

from aiostream_server.config.load import load_config
from aiostream_server.config.model import LimitsConfig, LlamaCppModelConfig, ServerConfig, TeamConfig
from aiostream_server.errors import ModelFailed
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.llama_cpp.process import LlamaProcess, process_settings
from aiostream_server.models.registry import open_models
from tests.kit.process import is_running, serving_process, until_gone
from tests.kit.serving import Server, ask, asking, sample_team, serving
from tests.models.smollm2 import (
    NEEDS_MODEL,
    WEIGHTS,
    config_with,
    cpu_ticks,
    llama_processes,
    smollm2,
    until_started,
)

pytestmark = NEEDS_MODEL
SOLO = sample_team("solo", presentation="answer")
GENERAL = TeamConfig(id="general", factory="aiostream_server.teams.general:build")
NO_CALL = {"logit_bias": [[piece, False] for piece in ("tool", "to", "t")]}  # it cannot begin to write one
LONG = {"max_tokens": 1500, "logit_bias": [[2, False]]}  # token 2 ends an answer


@asynccontextmanager
async def serving_model(
    folder: Path, model: LlamaCppModelConfig, *teams: TeamConfig, **sections: Any
) -> AsyncIterator[Server]:
    """A server with this model, which leaves no process behind."""
    async with serving(config_with(model, *(teams or (SOLO,)), **sections), folder) as server:
        yield server
    assert llama_processes() == []


def content_of(frame: Mapping[str, Any]) -> str:
    choices = frame.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


@asynccontextmanager
async def client_of(model: LlamaCppModelConfig) -> AsyncIterator[StreamingClient]:
    async with open_models({"default": model}) as models:
        yield models.client("default")
    assert llama_processes() == []


async def test_words_come_one_by_one_as_the_model_writes_them(tmp_path: Path) -> None:
    async with (
        serving_model(tmp_path, smollm2(options=LONG | {"max_tokens": 40})) as server,
        asking(server.url, "Tell me about the sea.", model="solo") as answer,
    ):
        used = [_model_ticks() async for _ in answer.pieces()]
    assert len(used) >= 30
    assert answer.finish_reasons == ["length"]
    assert _came_while_it_worked(used)


def _model_ticks() -> int:
    (pid,) = llama_processes()
    return cpu_ticks(pid)


def _came_while_it_worked(used: Sequence[int]) -> bool:
    """Whether the model computed between most pieces, by what CPU time it had `used` when each arrived.

    A busy machine takes no part in that. Pieces that came at once, or in a few bursts, would have few counts.
    """
    return len(set(used)) > 5 and max(b - a for a, b in pairwise(used)) < (used[-1] - used[0]) / 2


async def test_stop_ends_the_work_of_the_model(tmp_path: Path) -> None:
    async with serving_model(tmp_path, smollm2(options=LONG)) as server:
        async with asking(server.url, "Tell me a long story.", model="solo") as answer:
            async for _ in answer.pieces():
                if len(answer.frames) > 5:
                    break
        (pid,) = llama_processes()
        async with asyncio.timeout(10):
            while True:
                before = cpu_ticks(pid)
                await asyncio.sleep(0.1)
                if cpu_ticks(pid) == before:
                    break
        await asyncio.sleep(0.3)
        assert cpu_ticks(pid) - before <= 1
        assert is_running(pid)


async def test_first_questions_at_once_start_one_process_and_the_next_ones_none(tmp_path: Path) -> None:
    async with serving_model(tmp_path, smollm2(options={"max_tokens": 3}, parallel=2)) as server:
        assert llama_processes() == []
        asked = [asyncio.create_task(ask(server.url, f"Say {n}.", model="solo")) for n in range(4)]
        pid = await until_started()
        answers = await asyncio.gather(*asked)
        assert all(answer.text and not answer.errors for answer in answers)
        assert (await ask(server.url, "Again.", model="solo")).text
        assert llama_processes() == [pid]


async def test_process_that_dies_fails_the_answer_in_one_line_and_the_next_question_has_another(
    tmp_path: Path,
) -> None:
    async with serving_model(tmp_path, smollm2(options=LONG)) as server:
        with capture_logs() as logs:
            async with asking(server.url, "Tell me a long story.", model="solo") as answer:
                async for _ in answer.pieces():
                    if len(answer.frames) == 5:
                        os.kill(llama_processes()[0], signal.SIGKILL)
            first = llama_processes()
            async with asking(server.url, "Go on.", model="solo") as another:
                async for _ in another.pieces():
                    break
            second = llama_processes()
    (error,) = answer.errors
    assert error["message"] == (
        "the process of the local model SmolLM2-135M-Instruct.Q4_1 ended while it answered (killed by SIGKILL)"
        "; the next question starts it again"
    )
    assert answer.done
    assert another.text
    assert first != second
    (died,) = [line for line in logs if line["event"] == "llama_cpp_died"]
    assert (died["log_level"], died["ending"]) == ("warning", "killed by SIGKILL")


async def test_process_that_crashed_while_idle_is_restarted(tmp_path: Path) -> None:
    async with serving_model(tmp_path, smollm2(options={"max_tokens": 3})) as server:
        await ask(server.url, "Hello.", model="solo")
        (pid,) = llama_processes()
        os.kill(pid, signal.SIGKILL)
        await until_gone(pid)
        answer = await ask(server.url, "Hello.", model="solo")
    assert answer.text
    assert not answer.errors


async def test_model_that_loads_slowly_delays_no_other_request(tmp_path: Path) -> None:
    """The waiting run is not idle, its viewer gets heartbeats, and the server answers other requests."""
    limits, pace = LimitsConfig(idle_timeout_s=1.5), ServerConfig(heartbeat_s=0.2)
    async with serving_model(tmp_path, smollm2(options={"max_tokens": 3}), limits=limits, server=pace) as server:
        asked = asyncio.create_task(ask(server.url, "Hello.", model="solo"))
        pid = await until_started()
        os.kill(pid, signal.SIGSTOP)
        async with aiohttp.ClientSession() as session:
            for _ in range(10):
                async with session.get(f"{server.url}/healthz") as response:
                    assert response.status == 200
                await asyncio.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        answer = await asked
    assert answer.text
    assert not answer.errors
    assert answer.comments >= 5


async def test_model_that_is_not_loaded_in_time_is_given_up_and_not_tried_at_every_question() -> None:
    hello = [UserMessage(content="Hello.", source="user")]
    async with client_of(smollm2(start_timeout_s=1.0)) as client:
        asked = asyncio.create_task(client.create(hello))
        pid = await until_started()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ModelFailed) as first:
            await asked
        with pytest.raises(ModelFailed) as second:
            await client.create(hello)
        assert not is_running(pid)
        assert llama_processes() == []
    reason = (
        "the local model SmolLM2-135M-Instruct.Q4_1 could not be started: it was not loaded within start_timeout_s, 1 s"
    )
    assert str(first.value) == reason
    assert str(second.value).startswith(f"{reason}; the next try is in ")


async def test_file_that_is_cut_off_is_told_in_the_words_of_llama_cpp(tmp_path: Path) -> None:
    path = tmp_path / "half.gguf"
    with WEIGHTS.open("rb") as whole:
        path.write_bytes(whole.read(4_000_000))
    async with serving_model(tmp_path, smollm2(path=path)) as server:
        answer = await ask(server.url, "Hello.", model="solo")
    assert answer.errors[0]["message"] == (
        "the local model half could not be started: tensor 'token_embd.weight' data is not within the file bounds, "
        "model is corrupted or incomplete"
    )


async def test_idle_model_gives_its_memory_back(tmp_path: Path) -> None:
    async with serving_model(tmp_path, smollm2(options={"max_tokens": 3}, idle_stop_s=0.3)) as server:
        first = await ask(server.url, "Hello.", model="solo")
        await until_gone(llama_processes()[0])
        assert (await ask(server.url, "Hello.", model="solo")).text == first.text
        assert len(llama_processes()) == 1


async def test_reload_keeps_the_process_and_the_end_of_the_last_who_wants_it_is_its_end(tmp_path: Path) -> None:
    """Also two tables that differ in what is sent only; not one with other weights."""
    hello = [UserMessage(content="Hello.", source="user")]
    weights = tmp_path / "model.gguf"
    weights.symlink_to(WEIGHTS)
    async with open_models({"new": smollm2(path=weights, options={"max_tokens": 2})}) as after:
        async with open_models({"old": smollm2(path=weights)}) as before:
            await before.client("old").create(hello)
            pids = llama_processes()
        await after.client("new").create(hello)
        assert llama_processes() == pids
        async with open_models({"other": smollm2(path=weights, context_tokens=512)}) as others:
            await others.client("other").create(hello)
            assert len(llama_processes()) == 2
    assert len(pids) == 1
    assert llama_processes() == []


async def test_stop_while_it_is_loaded_leaves_it_to_the_others() -> None:
    hello = [UserMessage(content="Hello.", source="user")]
    async with client_of(smollm2(options={"max_tokens": 3})) as client:
        first = asyncio.create_task(client.create(hello))
        second = asyncio.create_task(client.create(hello))
        await until_started()
        first.cancel()
        assert (await second).content
        assert first.cancelled()
        assert client.total_usage().prompt_tokens < 100  # the one that was cancelled cost nothing


async def test_end_of_the_server_while_it_is_loaded_is_its_end() -> None:
    async with client_of(smollm2()) as client:
        asked = asyncio.create_task(client.create([UserMessage(content="Hello.", source="user")]))
        pid = await until_started()
    with pytest.raises(ModelFailed, match="was not started yet"):
        await asked
    assert not is_running(pid)


@pytest.mark.parametrize(
    ("end", "is_loaded"),
    [(signal.SIGKILL, False), (signal.SIGKILL, True), (signal.SIGTERM, True)],
    ids=["killed while it starts", "killed while it answers", "stopped while it answers"],
)
async def test_process_ends_with_the_server_however_that_ends(
    tmp_path: Path, end: signal.Signals, is_loaded: bool
) -> None:
    text = f'[models.default]\nprovider = "llama.cpp"\npath = "{WEIGHTS}"\noptions = {{ max_tokens = 2000 }}\n'
    text += '[server]\nport = 0\ndrain_s = 0.0\nlog_format = "json"\n'
    text += '[[teams]]\nid = "solo"\nfactory = "tests.kit.sample_teams:solo"\n'
    async with serving_process(text, tmp_path) as server:
        async with asking(server.url, "Tell me a long story.", model="solo") as answer:
            await anext(answer.stream())
            pid = await until_started(server.process.pid)
            if is_loaded:
                await anext(answer.pieces())
            server.process.send_signal(end)
            await until_gone(pid)
        await server.end()


async def test_its_process_has_what_it_needs_of_the_servers_environment_and_imports_nothing_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-server")
    for name in ("json", "xllamacpp"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    environ = {"OPENAI_API_KEY": "sk-of-the-server", "CUDA_VISIBLE_DEVICES": "0", "PATH": "/bin", "PYTHONSTARTUP": "x"}
    table = f'[models.default]\nprovider = "llama.cpp"\nthreads = 1\npath = "{WEIGHTS}"\n'
    (tmp_path / "server.toml").write_text(table)
    config = load_config(tmp_path / "server.toml", environ).models["default"]
    assert isinstance(config, LlamaCppModelConfig)
    process = await LlamaProcess.start(config)
    try:
        found = _environment(process.pid)
    finally:
        await process.stop()
    assert {line.partition("=")[0] for line in found} == {"CUDA_VISIBLE_DEVICES", "LANG", "PATH", "PYTHONPATH"}
    assert "CUDA_VISIBLE_DEVICES=0" in found
    assert "sk-of-the-server" not in str(found)


async def test_other_users_of_this_machine_cannot_use_it() -> None:
    """It listens on loopback only, requires a key of its own, and does not reveal the key."""
    process = await LlamaProcess.start(smollm2())
    try:
        key = process.api_key.get_secret_value()
        assert [host for host, _ in _listening(process.pid)] == ["0100007F"]  # 127.0.0.1
        answers = []
        async with aiohttp.ClientSession() as session:
            for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": f"Bearer {key}"}):
                async with session.get(f"{process.url}/v1/models", headers=headers) as response:
                    answers.append(response.status)
        assert answers == [401, 401, 200]
        assert key.encode() not in _told_to_all(process.pid)
        assert key not in repr(vars(process))
        assert (settings := process_settings(smollm2())).api_key not in repr(settings)
    finally:
        await process.stop()
    assert process_settings(smollm2()).api_key != process_settings(smollm2()).api_key


async def test_tool_is_called_by_a_model_with_a_template_without_tools(tmp_path: Path) -> None:
    """The general team: the model writes the call, the calculator calculates, the model answers."""
    async with serving_model(tmp_path, smollm2(), GENERAL) as server:
        answer = await ask(server.url, "What is 12 * 34?", model="general")
    assert not answer.errors
    assert "⚡" in answer.text
    assert "12 * 34" in answer.text
    assert answer.text.rstrip().endswith("408")


TEMPLATE = """{% if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}Call: <tool_call>{"name": NAME, "arguments": {}}</tool_call><|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content or "" }}{% for call in message.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


async def test_template_that_knows_tools_is_given_them(tmp_path: Path) -> None:
    """This model does not call them then; where it must, the grammar sees to it."""
    path = tmp_path / "template.jinja"
    path.write_text(TEMPLATE)
    question = [UserMessage(content="What is 12 * 34?", source="user")]
    async with client_of(smollm2(chat_template=path, options={"max_tokens": 30})) as client:
        with capture_logs() as logs:
            told = await client.create(question, tools=[PING], extra_create_args={"max_tokens": 1})
        untold = await client.create(question, extra_create_args={"max_tokens": 1})
        forced = await client.create(question, tools=[PING], tool_choice="required")
    assert [line["knows_tools"] for line in logs if line["event"] == "llama_cpp_started"] == [True]
    assert told.usage.prompt_tokens > untold.usage.prompt_tokens + 40
    assert isinstance(forced.content, list)


PING = ToolSchema(
    name="ping",
    description="Ask whether a host is alive.",
    parameters=ParametersSchema(type="object", properties={"host": {"type": "string"}}, required=["host"]),
)


class Animal(BaseModel):
    name: str
    legs: int


async def test_answer_is_held_to_a_schema_also_beside_tools() -> None:
    question = [UserMessage(content="Describe a dog.", source="user")]
    async with client_of(smollm2(options={"max_tokens": 60})) as client:
        alone = await client.create(question, json_output=Animal)
        beside = await client.create(question, tools=[PING], json_output=Animal, extra_create_args=NO_CALL)
        forced = await client.create(question, tools=[PING], tool_choice="required")
    for result in (alone, beside):
        assert isinstance(result.content, str)
        assert Animal.model_validate_json(result.content)
    assert isinstance(forced.content, list)
    assert (forced.content[0].name, forced.finish_reason) == ("ping", "function_calls")
    assert json.loads(forced.content[0].arguments).keys() == {"host"}


async def test_answer_in_json_is_streamed_while_it_is_written() -> None:
    question = [UserMessage(content="Tell me about the sea.", source="user")]
    used = []
    async with client_of(smollm2(options=NO_CALL | {"max_tokens": 90})) as client:
        async for chunk in client.create_stream(question, tools=[PING]):
            if isinstance(chunk, str):
                assert "{" not in chunk
                used.append(_model_ticks())
    assert len(used) > 15
    assert _came_while_it_worked(used)


async def test_question_that_is_too_long_says_how_much_would_fit() -> None:
    async with client_of(smollm2(context_tokens=256)) as client:
        with pytest.raises(ModelFailed, match=r"the local model SmolLM2\S+ answered 400 .*\(256 tokens\)") as caught:
            await client.create([UserMessage(content="word " * 600, source="user")])
    assert "127.0.0.1" not in str(caught.value)


def _environment(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().strip("\0").split("\0")


def _told_to_all(pid: int) -> bytes:
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


def _listening(pid: int) -> list[tuple[str, int]]:
    """Host and port of its listening sockets, as /proc/net/tcp has them."""
    inodes = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    found = [row[1].split(":") for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    return [(host, int(port, 16)) for host, port in found]
