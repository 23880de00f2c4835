"""`serve --watch`: saved files are served, broken ones are not, and no run is interrupted."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.kit.process import ServerProcess, serving_process
from tests.kit.serving import ask, asking
from tests.kit.waiting import wait_for
from tests.service.test_reload import models_of, status_of

HEAD = '[server]\nport = 0\nlog_format = "json"\nwatch = {watch}\nworkers = {workers}\n'
MINE = '[[teams]]\nid = "mine"\nfactory = "my_team:build"\n'
LATER_S = 1.0
NOISE_S = 15.0  # the share of a busy machine

TEAM = """
import asyncio
from my_words import Words, words

class Team:
    async def run_stream(self, *, task):
        from autogen_agentchat.messages import TextMessage
        assert isinstance(words, Words), "two versions of one class"
        yield TextMessage(content=f"{VERSION} begins, ", source="Mine")
        if "slow" in task[-1].content:
            await asyncio.sleep(1.2)
        yield TextMessage(content=f"{VERSION} says {words.text}", source="Mine")

def build(context):
    return Team()
"""
WORDS = """
class Words:
    text = "{}"

words = Words()
"""


def save(path: Path, text: str) -> None:
    """As editors do it: the file is replaced at once."""
    new = path.with_suffix(".new")
    new.write_text(text, "utf-8")
    new.replace(path)


def save_team(folder: Path, version: str) -> None:
    save(folder / "my_team.py", f'VERSION = "{version}"\n{TEAM}')


@asynccontextmanager
async def served(
    folder: Path, toml: str = MINE, *, watch: bool = True, workers: int = 1
) -> AsyncIterator[ServerProcess]:
    save_team(folder, "v1")
    save(folder / "my_words.py", WORDS.format("hello"))
    await asyncio.sleep(0.05)  # a file that is changed within 20 ms of its import counts as changed
    head = HEAD.format(watch=str(watch).lower(), workers=workers)
    async with serving_process(head + toml, folder) as server:
        yield server


async def answer_of(server: ServerProcess, question: str = "hi", model: str = "mine") -> str:
    answer = await ask(server.url, question, model=model)
    assert answer.done
    assert not answer.errors, answer.errors
    return answer.text


async def until_answered(server: ServerProcess, words: str) -> float:
    """How long it took."""
    saved_at = time.monotonic()
    async with asyncio.timeout(LATER_S + NOISE_S):
        while words not in await answer_of(server):  # noqa: ASYNC110 - what others are answered is what is asked
            await asyncio.sleep(0.02)
    return time.monotonic() - saved_at


async def test_new_code_answers_within_a_second_and_broken_code_never(tmp_path: Path) -> None:
    """While others ask all the time, and what was begun ends with the code that it began with."""
    async with served(tmp_path) as server:
        is_over, answers = asyncio.Event(), list[str]()

        async def keep_asking() -> None:
            while not is_over.is_set():
                answers.append(await answer_of(server))
                await asyncio.sleep(0.02)  # a load, and some processor time left for the others

        clients = [asyncio.create_task(keep_asking()) for _ in range(3)]
        async with asking(server.url, "slow", model="mine") as begun:
            await anext(begun.pieces())
            save_team(tmp_path, "v2")
            took_s = await until_answered(server, "v2 says hello")
            await _check_broken_files(server, tmp_path / "my_team.py")
            await begun.read_all()
        assert begun.done
        assert "v1 begins" in begun.text
        assert "v1 says hello" in begun.text
        assert took_s < LATER_S + NOISE_S

        save(tmp_path / "my_words.py", WORDS.format("good bye"))  # only what the team imports
        await until_answered(server, "v2 says good bye")
        await wait_for(lambda: "good bye" in answers[-1], "the others are answered so, too")
        is_over.set()
        await asyncio.gather(*clients)
        first, mended, second = await server.until_logged("config_reloaded", 3)
        assert first["files_imported"] == mended["files_imported"] == [str(tmp_path / "my_team.py")]
        assert second["files_imported"] == [str(tmp_path / "my_words.py")]
        assert server.named("files_changed")[0]["files"] == [str(tmp_path / "my_team.py")]
        assert {text.partition("says ")[2] for text in answers} == {"hello", "good bye"}
        await _check_a_module_that_comes_late(server, tmp_path)


async def _check_broken_files(server: ServerProcess, path: Path) -> None:
    """Each is logged, and the old version answers."""
    good = path.read_text("utf-8")  # noqa: ASYNC240 - a small file
    broken = {
        good.replace("class Team:", "class Team"): f"{path}:6: SyntaxError: expected ':'",
        good.replace("import Words", "import Nothing, Words"): "ImportError",
        good.replace("return Team()", "return 1 / 0"): "the team cannot be built: ZeroDivisionError",
    }
    for number, (text, problem) in enumerate(broken.items(), start=1):
        save(path, text)
        line = (await server.until_logged("config_not_reloaded", number))[-1]
        assert problem in line["problem"]
        assert "v2 says hello" in await answer_of(server)
    assert len(server.named("config_reloaded")) == 1
    save(path, good)
    await server.until_logged("config_reloaded", 2)


async def _check_a_module_that_comes_late(server: ServerProcess, folder: Path) -> None:
    """Its team is put into the file first."""
    config, told = folder / "server.toml", len(server.named("config_not_reloaded"))
    save(config, config.read_text("utf-8") + '[[teams]]\nid = "late"\nfactory = "late_team:build"\n')
    assert "late_team" in (await server.until_logged("config_not_reloaded", told + 1))[-1]["problem"]
    assert await models_of(server.url) == ["auto", "mine"]
    save(folder / "late_team.py", "from late_words import build\n")
    await server.until_logged("config_not_reloaded", told + 2)
    save(folder / "late_words.py", "from my_team import build\n")
    await server.until_logged("config_reloaded", 4)
    assert await models_of(server.url) == ["auto", "mine", "late"]
    assert "v2" in await answer_of(server, model="late")


async def test_keys_components_and_folders_are_watched_and_a_file_may_be_gone_for_a_moment(tmp_path: Path) -> None:
    keys, component, teams = tmp_path / "keys.json", tmp_path / "solo.json", tmp_path / "teams"
    first, text = new_key("first")
    second, other = new_key("second")
    add_key(keys, first)
    component.write_text(json.dumps(solo("Anna")), "utf-8")
    teams.mkdir()
    (teams / "one.py").write_text("from my_team import build\n", "utf-8")
    toml = 'auth.keys_file = "keys.json"\n' + HEAD.format(watch="false", workers=1) + MINE
    toml += '[[teams]]\nid = "solo"\ncomponent = "solo.json"\n[[team_folders]]\npath = "teams"\n'
    headers = {"Authorization": f"Bearer {text.get_secret_value()}"}
    save_team(tmp_path, "v1")
    save(tmp_path / "my_words.py", WORDS.format("hello"))
    async with serving_process(toml, tmp_path, "--watch") as server:
        add_key(keys, second)
        await server.until_logged("config_reloaded", 1)
        assert await status_of(server.url, headers={"Authorization": f"Bearer {other.get_secret_value()}"}) == 200

        component.unlink()
        await asyncio.sleep(0.5)
        component.write_text(json.dumps(solo("Berta")), "utf-8")
        await server.until_logged("config_reloaded", 2)
        assert "Berta" in (await ask(server.url, "hi", model="solo", headers=headers)).text

        save(teams / "two.py", "from my_team import build\n")
        assert (await server.until_logged("config_reloaded", 3))[-1]["teams_added"] == ["two"]
        assert not server.named("config_not_reloaded")


def solo(name: str) -> dict[str, Any]:
    model = {"provider": "autogen_ext.models.replay.ReplayChatCompletionClient", "config": {"chat_completions": [name]}}
    config = {"name": name, "model_client": model, "description": "", "model_client_stream": False}
    config |= {"reflect_on_tool_use": False, "tool_call_summary_format": "{result}"}
    return {"provider": "autogen_agentchat.agents.AssistantAgent", "config": config}


async def test_without_watching_every_worker_takes_new_code_at_a_hangup(tmp_path: Path) -> None:
    async with served(tmp_path, watch=False, workers=2) as server:
        save_team(tmp_path, "v2")
        os.utime(tmp_path / "my_team.py", (time.time() - 60, time.time() - 60))  # older than what is loaded: still new
        await asyncio.sleep(0.4)
        assert "v1" in await answer_of(server)
        server.process.send_signal(signal.SIGHUP)
        lines = await server.until_logged("config_reloaded", 2)
        assert [line["files_imported"] for line in lines] == [[str(tmp_path / "my_team.py")]] * 2
        assert ["v2 says hello" in await answer_of(server) for _ in range(3)] == [True] * 3
        server.process.send_signal(signal.SIGHUP)
        lines = await server.until_logged("config_reloaded", 4)
        assert "files_imported" not in lines[-1], "nothing has changed"
