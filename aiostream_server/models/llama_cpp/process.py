"""One child process in which llama.cpp serves one model; and the checks of its files before the start.

GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import asyncio
import json
import os
import re
import secrets
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self, cast

import aiohttp
import structlog
from pydantic import SecretStr

from aiostream_server.config.model import LlamaCppModelConfig
from aiostream_server.config.problem_text import install_hint
from aiostream_server.models.llama_cpp.child import Settings
from aiostream_server.text import one_line

_CHILD: Final = "aiostream_server.models.llama_cpp.child"
_PACKAGES: Final = Path(__file__).parents[3]
_READ_BYTES: Final = 64 * 1024
_MAX_REASON: Final = 200
_ERROR: Final = re.compile(r"^[\d.]+ E (?:\w+ +)?\S+: (?:error: |error loading model: )?(.+)$", re.MULTILINE)

_log = structlog.get_logger()


class StartFailed(Exception):
    """The model could not be loaded; the text is the reason without the model's name."""


class LlamaProcess:
    """A model that answers at `url` to requests with `api_key`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, api_key: SecretStr) -> None:
        self._name = name
        self._process = process
        self.api_key: Final = api_key
        self.url = ""
        self.knows_tools = False  # its chat template supports them
        self._loading_log = ""
        self._is_loaded = False
        self._listening = asyncio.create_task(self._listen(), name="llama.cpp-log")
        self.ended: Final = asyncio.create_task(process.wait(), name="llama.cpp-end")

    @classmethod
    async def start(cls, config: LlamaCppModelConfig) -> Self:
        """Return when the model answers. Raises `StartFailed`. A cancellation stops the process."""
        try:
            settings = process_settings(config)
        except ValueError as exc:
            raise StartFailed(str(exc)) from exc
        process = await _spawn(config.environment)
        started = cls(config.path.stem, process, SecretStr(settings.api_key))
        try:
            async with asyncio.timeout(config.start_timeout_s):
                await started._load(settings)
        except TimeoutError:
            await started.stop()
            raise StartFailed(f"it was not loaded within start_timeout_s, {config.start_timeout_s:g} s") from None
        except BaseException:
            await started.stop()
            raise
        return started

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return not self.ended.done()

    @property
    def ending(self) -> str:
        """The exit status or the signal, in words."""
        status = self._process.returncode
        if status is None:
            return "still running"
        if status >= 0:
            return f"status {status}"
        with suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
        return f"killed by signal {-status}"

    async def stop(self) -> None:
        """Kill it and wait for its end."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.wait((self.ended, self._listening))
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _load(self, settings: Settings) -> None:
        stdin = cast("asyncio.StreamWriter", self._process.stdin)
        stdout = cast("asyncio.StreamReader", self._process.stdout)
        with suppress(ConnectionError):  # it has ended already: its log is read below
            stdin.write(settings.line())
            await stdin.drain()
        line = await stdout.readline()
        answer = json.loads(line) if line else {}
        if "url" not in answer:
            await asyncio.wait((self.ended, self._listening))
            raise StartFailed(self._reason(answer.get("error", "")))
        self.url = answer["url"]
        self.knows_tools = await self._template_knows_tools()
        self._is_loaded, self._loading_log = True, ""

    async def _template_knows_tools(self) -> bool:
        headers = {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}
        try:
            async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{self.url}/props") as response:
                response.raise_for_status()
                props = await response.json()
        except aiohttp.ClientError as exc:
            raise StartFailed(f"llama.cpp does not answer: {type(exc).__name__}") from exc
        capabilities = props.get("chat_template_caps") or {}
        return bool(capabilities.get("supports_tools") or capabilities.get("supports_tool_calls"))

    async def _listen(self) -> None:
        """Log stderr while the model loads; later lines may hold users' texts and are discarded."""
        stderr = cast("asyncio.StreamReader", self._process.stderr)
        rest = b""
        while data := await stderr.read(_READ_BYTES):
            if self._is_loaded:
                continue
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                text = line.decode("utf-8", "replace")
                self._loading_log += f"{text}\n"
                _log.debug("llama_cpp_said", model=self._name, line=text)

    def _reason(self, error: str) -> str:
        """The cause: the first error of llama.cpp's log."""
        if self._process.returncode is not None and self._process.returncode < 0:
            return self.ending
        found = _ERROR.search(self._loading_log)
        if found is None and "Traceback" in self._loading_log:
            found = re.search(r"^(\w+(?:Error|Exception): .+)$", self._loading_log, re.MULTILINE)
        return one_line(found[1] if found else error or self.ending, _MAX_REASON)


async def _spawn(environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # imports nothing from the working directory
            "-m",
            _CHILD,
            env={"PATH": os.defpath, "LANG": "C.UTF-8", **environment, "PYTHONPATH": str(_PACKAGES)},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,  # Ctrl-C goes to the server, which drains first
        )
    except OSError as exc:
        raise StartFailed(f"no process can be started: {(exc.strerror or str(exc)).lower()}") from exc


def process_settings(config: LlamaCppModelConfig) -> Settings:
    """The settings of a new process, with a new API key. Raises `ValueError`."""
    template = read_template(config.chat_template)
    given = config.model_dump(include={"context_tokens", "parallel", "threads", "gpu_layers"})
    key = secrets.token_urlsafe(32)
    return Settings(parent=os.getpid(), path=str(config.path), api_key=key, chat_template=template, **given)


_MAGIC: Final = b"GGUF"
_OLDEST_VERSION: Final = 2


def check_startable(config: LlamaCppModelConfig) -> None:
    """Raise `ValueError` with what is missing and what to do. Reads only the head of the file."""
    if find_spec("xllamacpp") is None:
        raise ValueError(f"llama.cpp is not installed: {install_hint('local')}")
    _check_gguf(config.path)
    read_template(config.chat_template)


def read_template(path: Path | None) -> str:
    """The text of the file; empty without one. Raises `ValueError`."""
    if path is None:
        return ""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"chat_template: {path} is not UTF-8 text") from None
    except OSError as exc:
        raise ValueError(f"chat_template: {path} cannot be read: {_reason(exc)}") from None


def _check_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as exc:
        raise ValueError(f"path: {path} cannot be read: {_reason(exc)}") from None
    if head[:4] != _MAGIC or len(head) < 8:
        raise ValueError(f"path: {path} is not a GGUF file: docs/local.md says where to get one")
    version = int.from_bytes(head[4:], "little")
    if not _OLDEST_VERSION <= version < 2**16:  # a big-endian file has its bytes swapped
        raise ValueError(f"path: {path} is a GGUF file of a version that llama.cpp does not read: {version:#x}")


def _reason(exc: OSError) -> str:
    return (exc.strerror or "unreadable").lower()
