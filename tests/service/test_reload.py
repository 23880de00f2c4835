"""SIGHUP: teams, models, keys and limits are loaded again, and no run is interrupted."""

import asyncio
import fcntl
import os
import signal
import sys
import termios
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, MetricsConfig
from aiostream_server.intake.key_file import add_key, remove_key
from aiostream_server.intake.keys import new_key
from aiostream_server.service.composition import GENERATIONS, Generations
from aiostream_server.service.metrics import MetricsExport
from aiostream_server.service.reload import Reloading
from aiostream_server.service.reload_work import ReloadWork
from aiostream_server.service.status import LastReload, ProcessStatus
from aiostream_server.service.systemd import ServiceManager
from aiostream_server.web.state import ServerState
from tests.kit.process import ServerProcess, environment, serving_process
from tests.kit.scripted_provider import Gate, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, asking, chat_body, serving
from tests.kit.waiting import wait_for

HUSH = "sk-hush-hush"


def toml(provider: ScriptedProvider, *teams: str, head: str = "", limits: str = "") -> str:
    shown = "\n".join(f'[[teams]]\nid = "{team}"\nfactory = "tests.kit.sample_teams:solo"' for team in teams)
    model = f'[models.default]\nprovider = "openai"\nmodel = "scripted"\nbase_url = "{provider.base_url}"'
    return f'{head}\n[server]\nport = 0\nlog_format = "json"\n[limits]\n{limits}\n{model}\n{shown}\n'


async def reload(server: ServerProcess, folder: Path, config: str, event: str = "config_reloaded") -> dict[str, Any]:
    """The line of the log that says what came of it."""
    (folder / "server.toml").write_text(config, "utf-8")
    before = len(server.named(event))
    server.process.send_signal(signal.SIGHUP)
    return (await server.until_logged(event, before + 1))[-1]


async def status_of(url: str, model: str = "auto", headers: Mapping[str, str] | None = None) -> int:
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/v1/chat/completions", json=chat_body("hi", model=model)) as response,
    ):
        return response.status


async def models_of(url: str) -> list[str]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/models") as response:
        return [model["id"] for model in (await response.json())["data"]]


async def test_a_stream_goes_on_with_its_team_which_is_no_longer_there_for_others(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    gate = Gate()
    provider.script(ScriptedAnswer("before ", gate, "after"), ScriptedAnswer("new"))
    async with serving_process(toml(provider, "old", "both"), tmp_path) as server:
        async with asking(server.url, "hi", model="old") as answer:
            await anext(answer.pieces())
            told = await reload(server, tmp_path, toml(provider, "both", "new"))
            assert await models_of(server.url) == ["auto", "both", "new"]
            assert await status_of(server.url, "old") == 404
            assert (await ask(server.url, "hi", model="new")).text.endswith("new")
            gate.open()
            await answer.read_all()
        assert answer.done
        assert "before after" in answer.text
        assert (told["teams_added"], told["teams_removed"], told["teams"]) == (["new"], ["old"], 2)


async def test_a_new_key_counts_and_a_revoked_one_only_for_runs_that_it_has_begun(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    keys = tmp_path / "keys.json"
    (first, text), (second, other) = new_key("first"), new_key("second")
    add_key(keys, first)
    gate = Gate()
    provider.script(ScriptedAnswer("before ", gate, "after"), ScriptedAnswer("new"))
    config = toml(provider, "solo", head='auth.keys_file = "keys.json"')
    old, new = ({"Authorization": f"Bearer {key.get_secret_value()}"} for key in (text, other))
    async with serving_process(config, tmp_path) as server:
        async with asking(server.url, "hi", model="solo", headers=old) as answer:
            await anext(answer.pieces())
            add_key(keys, second)
            remove_key(keys, first.id)
            assert await status_of(server.url, headers=new) == 401
            told = await reload(server, tmp_path, config)
            assert await status_of(server.url, headers=old) == 401
            assert await status_of(server.url, headers=new) == 200
            gate.open()
            assert "before after" in (await answer.read_all()).text
        assert (told["keys"], told["keys_added"], told["keys_removed"]) == (1, [second.id], [first.id])
        assert text.get_secret_value() not in "\n".join(server.lines)
        assert other.get_secret_value() not in "\n".join(server.lines)


async def test_limits_count_from_then_on(tmp_path: Path, provider: ScriptedProvider) -> None:
    gate = Gate()
    provider.script(lambda _: ScriptedAnswer("before ", gate, "after"))
    async with (
        serving_process(toml(provider, "solo", limits="max_runs = 1"), tmp_path) as server,
        asking(server.url, "hi", model="solo") as first,
    ):
        await anext(first.pieces())
        assert await status_of(server.url) == 429
        assert (await reload(server, tmp_path, toml(provider, "solo", limits="max_runs = 2")))["tables_changed"] == [
            "limits"
        ]
        async with asking(server.url, "hi", model="solo") as second:
            await anext(second.pieces())
            await reload(server, tmp_path, toml(provider, "solo", limits="max_runs = 1"))
            assert await status_of(server.url) == 429
            gate.open()
            answers = [await first.read_all(), await second.read_all()]
        assert all(answer.done and "before after" in answer.text for answer in answers)


async def test_a_broken_file_changes_nothing_and_each_mistake_is_a_line(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    good = toml(provider, "solo")
    provider.script(lambda _: ScriptedAnswer("fine"))
    wrong = '[[teams]]\nid = "a"\nfactory = "os:nothing"\n[[teams]]\nid = "b"\nfactory = "os:listdir"\n'
    lost = 'auth.keys_file = "gone.json"\ndatabase.gone.url = "sqlite:////nowhere/x.db"\n'
    keyed = good.replace("[models.default]", '[models.default]\napi_key_env = "KEY"')
    async with serving_process(good, tmp_path, KEY=HUSH) as server:
        assert "line" in (await mistakes(server, tmp_path, good + "\n[server", 1))[0]
        port, host = await mistakes(server, tmp_path, good.replace("port = 0", "port = 70000\nhosst = 1"), 2)
        assert port.startswith("[server] port: expected")
        assert host.startswith("[server] hosst: unknown key")
        keys, database, team = await mistakes(server, tmp_path, lost + keyed + wrong, 3)
        assert "there is no such keys file" in keys
        assert database.startswith("[database.gone]")
        assert team.startswith('[[teams]] #2 (a) factory: "os:nothing" cannot be imported')
        imported, built = await mistakes(server, tmp_path, keyed + wrong, 2)
        assert imported == team
        assert built.startswith("[[teams]] #3 (b) the team cannot be built: TypeError")

        assert all(line["level"] == "warning" for line in server.named("config_not_reloaded"))
        assert not server.named("config_reloaded")
        assert (await ask(server.url, "hi", model="solo")).text.endswith("fine")
        assert await models_of(server.url) == ["auto", "solo"]
        assert "tables_changed" in await reload(server, tmp_path, keyed)
        assert HUSH not in "\n".join(server.lines)


async def mistakes(server: ServerProcess, folder: Path, config: str, number: int) -> list[str]:
    before = len(server.named("config_not_reloaded"))
    await reload(server, folder, config, "config_not_reloaded")
    return [line["problem"] for line in await server.until_logged("config_not_reloaded", before + number)][before:]


async def test_keys_that_need_a_restart_are_named_in_one_line(tmp_path: Path, provider: ScriptedProvider) -> None:
    async with serving_process(toml(provider, "solo"), tmp_path) as server:
        await reload(server, tmp_path, toml(provider, "solo").replace("port = 0", 'port = 1\nloop = "asyncio"'))
        (line,) = server.named("config_needs_restart")
        assert (line["keys"], line["level"]) == (["[server] port", "[server] loop"], "warning")
        assert await models_of(server.url) == ["auto", "solo"]


async def test_20_reloads_under_load_break_nothing_and_leave_nothing_behind(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    provider.script(lambda _: ScriptedAnswer(*("word " for _ in range(40)), pause_s=0.002))
    path = tmp_path / "server.toml"
    path.write_text(toml(provider, "solo", "other"), "utf-8")
    async with serving(load_config(path, {}), tmp_path) as server:
        generations = server.runner.app[GENERATIONS]
        reloading = Reloading(generations, lambda: load_config(path, {}), tmp_path, hosts=["127.0.0.1"])
        working = asyncio.create_task(reloading.work())
        await ask(server.url, "hi", model="solo")
        first = generations.current.state

        async def keep_asking() -> int:
            answers = 0
            while not is_over.is_set():
                answer = await ask(server.url, "hi", model="solo")
                assert answer.done
                assert answer.text.count("word ") == 40
                answers += 1
            return answers

        is_over = asyncio.Event()
        clients = [asyncio.create_task(keep_asking()) for _ in range(8)]
        await wait_for(lambda: len(server.state.registry) > 0, "runs of the clients")
        tasks, descriptors = len(asyncio.all_tasks()), descriptors_open()
        for _ in range(20):
            before = generations.current.state
            reloading.request()
            await wait_for(partial(_has_replaced, generations, before), "a reload", every_s=0.005)
        is_over.set()
        assert sum(await asyncio.gather(*clients)) >= 8
        working.cancel()
        await wait_for(lambda: not generations.retired, "the end of all former generations")
        assert generations.current.state.resources is not first.resources
        assert len(asyncio.all_tasks()) <= tasks - len(clients)
        assert descriptors_open() <= descriptors


def _has_replaced(generations: Generations, before: ServerState) -> bool:
    return generations.current.state is not before


async def test_a_request_during_a_reload_leads_to_another_one(tmp_path: Path, provider: ScriptedProvider) -> None:
    """One at a time, and the last one reads what the file says then."""
    path = tmp_path / "server.toml"
    path.write_text(toml(provider, "first"), "utf-8")
    heard = RecordingManager()
    async with serving(load_config(path, {}), tmp_path) as server:
        generations = server.runner.app[GENERATIONS]
        reloading = Reloading(generations, lambda: load_config(path, {}), tmp_path, hosts=["127.0.0.1"], receiver=heard)
        working = asyncio.create_task(reloading.work())
        reloading.request()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        path.write_text(toml(provider, "second"), "utf-8")
        reloading.request()
        reloading.request()
        await heard.ready_times(2)
        assert heard.told == ["reloading", "ready"] * 2
        assert [spec.id for spec in generations.current.state.catalogue] == ["second"]
        working.cancel()


async def test_a_reachable_server_keeps_its_keys_when_the_file_has_none(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    """Whatever `[server] host` says: sockets that are handed over may listen elsewhere."""
    path, keys = tmp_path / "server.toml", tmp_path / "keys.json"
    path.write_text(toml(provider, "solo", head='auth.keys_file = "keys.json"'), "utf-8")
    key, _ = new_key("only")
    add_key(keys, key)
    async with serving(load_config(path, {}), tmp_path) as server:
        generations, heard = server.runner.app[GENERATIONS], RecordingManager()
        reloading = Reloading(
            generations, lambda: load_config(path, {}), tmp_path, hosts=["127.0.0.1", "192.0.2.1"], receiver=heard
        )
        working = asyncio.create_task(reloading.work())
        remove_key(keys, key.id)
        before = generations.current.state
        reloading.request()
        await heard.ready_times(1)
        assert generations.current.state is before
        working.cancel()


async def test_a_reload_that_hangs_in_a_module_is_given_up_and_its_line_is_told(
    tmp_path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is every later one while the module hangs, and the server serves on."""
    path, release = tmp_path / "server.toml", threading.Event()
    monkeypatch.setattr(threading, "released_by_the_test", release, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    provider.script(lambda _: ScriptedAnswer("fine"))
    (tmp_path / "hanging_team.py").write_text("import threading\n\nthreading.released_by_the_test.wait(60)\n", "utf-8")
    path.write_text(good := toml(provider, "solo"), "utf-8")
    async with serving(load_config(path, {}), tmp_path) as server:
        generations, heard, last = server.runner.app[GENERATIONS], RecordingManager(), LastReload()
        reloading = Reloading(
            generations,
            lambda: load_config(path, {}),
            tmp_path,
            hosts=["127.0.0.1"],
            receiver=heard,
            last_reload=last,
            work=ReloadWork(within_s=0.5),
        )
        working = asyncio.create_task(reloading.work())
        try:
            path.write_text(f'{good}\n[[teams]]\nid = "hangs"\nfactory = "hanging_team:build"\n', "utf-8")
            reloading.request()
            await heard.ready_times(1)
            assert last.problem.startswith("it is not loaded after 0.5 s: code of a team hangs")
            assert "hanging_team.py:3)" in last.problem
            reloading.request()
            await heard.ready_times(2)
            assert last.problem.startswith("an earlier reload hangs (")
            assert (await ask(server.url, "hi", model="solo")).text.endswith("fine")
        finally:
            release.set()
        path.write_text(good, "utf-8")

        async def is_well() -> bool:
            before = len(heard.told)
            reloading.request()
            await wait_for(lambda: len(heard.told) >= before + 2, "the reload")
            return not last.problem

        await wait_for(is_well, "a reload that succeeds")
        working.cancel()


async def test_what_a_restart_would_fail_for_fails_the_reload(tmp_path: Path, provider: ScriptedProvider) -> None:
    """As `check` says, which systemd runs beside it: the status and the metric agree with it."""
    good = toml(provider, "solo")
    no_tls = good.replace("port = 0", 'port = 0\ntls_certificate = "gone.pem"\ntls_key = "gone.key"')
    async with serving_process(good, tmp_path) as server:
        (problem,) = await mistakes(server, tmp_path, no_tls, 1)
        assert problem.startswith("[server] tls_certificate: ")
        assert not server.named("config_reloaded")


async def test_a_bug_in_a_reload_leaves_the_server_as_it_was(tmp_path: Path, provider: ScriptedProvider) -> None:
    """The next reload works."""
    path = tmp_path / "server.toml"
    path.write_text(toml(provider, "solo"), "utf-8")
    found = [load_config(path, {})]
    async with serving(found[0], tmp_path) as server:
        generations, heard = server.runner.app[GENERATIONS], RecordingManager()
        empty: list[Config] = []
        lists = [empty, found]
        reloading = Reloading(generations, lambda: lists.pop(0).pop(), tmp_path, hosts=["127.0.0.1"], receiver=heard)
        working = asyncio.create_task(reloading.work())
        before = generations.current.state
        reloading.request()
        await heard.ready_times(1)
        assert generations.current.state is before
        reloading.request()
        await heard.ready_times(2)
        assert generations.current.state is not before
        working.cancel()


async def test_every_worker_reloads(tmp_path: Path, provider: ScriptedProvider) -> None:
    gate = Gate()
    provider.script(lambda _: ScriptedAnswer("before ", gate, "after"))
    config = toml(provider, "old").replace("port = 0", "port = 0\nworkers = 2")
    async with (
        serving_process(config, tmp_path) as server,
        asking(server.url, "hi", model="old") as first,
        asking(server.url, "hi", model="old") as second,
    ):
        await asyncio.gather(anext(first.pieces()), anext(second.pieces()))
        await reload(server, tmp_path, config.replace('"old"', '"new"'))
        reloaded = await server.until_logged("config_reloaded", 2)
        assert {line["worker"] for line in reloaded} == {1, 2}
        assert [await models_of(server.url) for _ in range(6)] == [["auto", "new"]] * 6
        gate.open()
        answers = [await first.read_all(), await second.read_all()]
        assert all(answer.done and "before after" in answer.text for answer in answers)
        server.process.terminate()
        assert await server.end() == 0


async def test_a_server_whose_terminal_is_closed_ends(tmp_path: Path) -> None:
    """A SIGHUP because the terminal was closed is no request for a reload."""
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiostream_server", "serve"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(tmp_path, AIOSTREAM_SERVER__PORT="0"),
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(theirs)
    said = b""
    while b"serving http" not in said:
        said += await asyncio.to_thread(os.read, ours, 4096)
    os.close(ours)
    assert await process.wait() == 0


class RecordingManager(ServiceManager):
    """Records what a service manager is told of reloads."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.problem = ""

    def reloading(self) -> None:
        self.told.append("reloading")

    def reloaded(self, problem: str) -> None:
        self.told.append("ready")
        self.problem = problem

    async def ready_times(self, times: int) -> None:
        await wait_for(lambda: self.told.count("ready") >= times, f"{times} reloads")


def descriptors_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


async def test_a_reload_that_removes_the_last_key_is_warned_about(tmp_path: Path, provider: ScriptedProvider) -> None:
    """And not at every reload of a server that never had keys, such as one that watches its files."""
    keys = tmp_path / "keys.json"
    key, _ = new_key("only")
    add_key(keys, key)
    config = toml(provider, "solo", head='auth.keys_file = "keys.json"')
    async with serving_process(config, tmp_path) as server:
        remove_key(keys, key.id)
        await reload(server, tmp_path, config)
        assert len(server.named("serving_without_keys")) == 1
        await reload(server, tmp_path, config)
        assert len(server.named("serving_without_keys")) == 1


async def test_a_bug_behind_a_reload_does_not_end_reloading(tmp_path: Path, provider: ScriptedProvider) -> None:
    path = tmp_path / "server.toml"
    path.write_text(toml(provider, "first"), "utf-8")
    left = [LookupError("a bug")]

    def also() -> None:
        if left:
            raise left.pop()

    async with serving(load_config(path, {}), tmp_path) as server:
        generations, heard = server.runner.app[GENERATIONS], RecordingManager()
        load = partial(load_config, path, {})
        reloading = Reloading(generations, load, tmp_path, hosts=["127.0.0.1"], receiver=heard, also=[also])
        working = asyncio.create_task(reloading.work())
        reloading.request()
        await heard.ready_times(1)
        path.write_text(toml(provider, "second"), "utf-8")
        reloading.request()
        await heard.ready_times(2)
        assert [spec.id for spec in generations.current.state.catalogue] == ["second"]
        working.cancel()


async def test_a_reload_that_fails_is_told_to_systemd_and_to_prometheus(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    """Until one succeeds. A signal has no answer, and the log of a server that serves on is not read."""
    path = tmp_path / "server.toml"
    path.write_text(toml(provider, "first"), "utf-8")
    async with serving(load_config(path, {}), tmp_path) as server:
        generations, heard, last = server.runner.app[GENERATIONS], RecordingManager(), LastReload()
        load = partial(load_config, path, {})
        reloading = Reloading(generations, load, tmp_path, hosts=["127.0.0.1"], receiver=heard, last_reload=last)
        metrics = MetricsExport.of(Config(metrics=MetricsConfig(enabled=True)))
        assert metrics.metrics is not None
        working = asyncio.create_task(reloading.work())

        async def told(name: str) -> float:
            assert metrics.metrics is not None
            text = (await metrics.metrics.render("text/plain"))[0].decode()
            return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])

        metrics.metrics.watch_reloads(last)
        loaded_at = await told("aiostream_config_last_reload_success_timestamp_seconds")
        assert await told("aiostream_config_last_reload_successful") == 1
        path.write_text("[nonsense]\n", "utf-8")
        reloading.request()
        await heard.ready_times(1)
        assert await told("aiostream_config_last_reload_successful") == 0
        assert await told("aiostream_config_last_reload_success_timestamp_seconds") == loaded_at
        assert "nonsense" in heard.problem
        assert str(ProcessStatus(reload_problem=last.problem)).startswith("RELOAD FAILED: ")
        path.write_text(toml(provider, "second"), "utf-8")
        reloading.request()
        await heard.ready_times(2)
        assert heard.problem == ""
        assert await told("aiostream_config_last_reload_successful") == 1
        assert await told("aiostream_config_last_reload_success_timestamp_seconds") > loaded_at
        working.cancel()
