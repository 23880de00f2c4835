"""The booted box, driven from outside: its service manager, its files, and the server in it."""

import asyncio
import json
import os
import shlex
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.kit.waiting import wait_for

SERVICE: Final = "aiostream-server.service"
URL: Final = "http://127.0.0.1:8000"
CONFIG: Final = "/etc/aiostream-server/server.toml"
_PROGRAM: Final = "/opt/aiostream-server/current/bin"


def run(*command: str, check: bool = True, timeout_s: float = 60) -> str:
    """What a command in the box prints."""
    inside = [*shlex.split(os.environ["IN"]), *command]
    ran = subprocess.run(inside, check=False, capture_output=True, text=True, timeout=timeout_s)
    if check and ran.returncode:
        raise AssertionError(f"{shlex.join(command)}: status {ran.returncode}\n{ran.stdout}{ran.stderr}{_last_words()}")
    return ran.stdout


async def systemctl(*arguments: str) -> None:
    await asyncio.to_thread(run, "systemctl", *arguments)


def python(script: str) -> str:
    return run(f"{_PROGRAM}/python", script)


def create_key(name: str) -> str:
    return run(f"{_PROGRAM}/aiostream-server", "keys", "create", name, "--config", CONFIG).strip()


def shown(name: str, unit: str = SERVICE) -> str:
    """A property of a unit."""
    return run("systemctl", "show", f"--property={name}", "--value", unit).strip()


def main_pid() -> int:
    """Of the service, as this machine numbers it."""
    inside = shown("MainPID")
    of_box = namespace(os.environ["LEADER"], "pid")
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            numbers = next(line for line in (process / "status").read_text().splitlines() if line.startswith("NSpid:"))
            if numbers.split()[-1] == inside and namespace(process.name, "pid") == of_box:
                return int(process.name)
    raise AssertionError(f"there is no process {inside}")


def namespace(pid: int | str, kind: str) -> str:
    return str(Path("/proc", str(pid), "ns", kind).readlink())


def journal(since: float, unit: str = SERVICE) -> str:
    return run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", f"--since=@{since:.6f}")


def path(inside: str) -> Path:
    """A file of the box, as this machine sees it."""
    return Path(os.environ["MERGED"] + inside)


@contextmanager
def drop_in(text: str, unit: str = SERVICE) -> Iterator[None]:
    """Change a unit for a while; it is for the test to restart it."""
    folder = path(f"/etc/systemd/system/{unit}.d")
    folder.mkdir(exist_ok=True)
    file = folder / "test.conf"
    file.write_text(text)
    run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        file.unlink()
        folder.rmdir()
        run("systemctl", "daemon-reload")


async def until(unit_property: str, value: str, unit: str = SERVICE) -> None:
    async def has_value() -> bool:
        return await asyncio.to_thread(shown, unit_property, unit) == value

    await wait_for(has_value, f"{unit_property} of {unit} is {value}", every_s=0.05)


@asynccontextmanager
async def client(key: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Every request has a connection of its own."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    headers = {"Authorization": f"Bearer {key}", "X-Presentation": "answer"}
    async with aiohttp.ClientSession(URL, connector=connector, headers=headers) as session:
        yield session


async def ask(
    session: aiohttp.ClientSession, question: str, model: str = "general", headers: Mapping[str, str] | None = None
) -> str:
    """The whole answer."""
    body = {"model": model, "messages": [{"role": "user", "content": question}]}
    async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
        answer = await response.json()
        assert response.status == 200, answer
        content: str = answer["choices"][0]["message"]["content"]
        return content


async def stream(session: aiohttp.ClientSession, question: str) -> "Streamed":
    """An answer token by token, to its end. Raises where the server breaks it off."""
    body = {"model": "general", "stream": True, "messages": [{"role": "user", "content": question}]}
    asked_at = time.monotonic()
    streamed = Streamed()
    async with session.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            if line.startswith(b"data: {"):
                streamed.take(json.loads(line[6:]), time.monotonic() - asked_at)
            streamed.is_done |= line == b"data: [DONE]\n"
    return streamed


class Streamed:
    """What has come, and when: in seconds after the question."""

    def __init__(self) -> None:
        self.first_frame_s = float("inf")
        self.times: list[float] = []
        self.text = ""
        self.is_done = False

    def take(self, frame: dict[str, Any], after_s: float) -> None:
        assert "error" not in frame, frame
        self.first_frame_s = min(self.first_frame_s, after_s)
        if content := frame["choices"][0]["delta"].get("content"):
            self.times.append(after_s)
            self.text += content


def _last_words() -> str:
    return run("journalctl", "--no-pager", "--output=cat", "--lines=15", f"--unit={SERVICE}", check=False)
