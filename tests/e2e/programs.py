"""The two programs: the server as users run it, and Open WebUI. Each ends with its block, by its own process group."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from aiostream_server.teams.served import BUILT_IN
from tests.kit.process import free_port
from tests.kit.waiting import wait_for

ROOT: Final = Path(__file__).parents[2]
_SERVER_READY_S: Final = 30.0
_OPEN_WEBUI_READY_S: Final = 180.0
_END_S: Final = 10.0
_OPEN_WEBUI: Final = {
    "WEBUI_AUTH": "False",
    "WEBUI_SECRET_KEY": "e2e",
    "OFFLINE_MODE": "True",
    "HF_HUB_OFFLINE": "1",
    "RAG_EMBEDDING_ENGINE": "openai",
    "ENABLE_OLLAMA_API": "False",
    "ENABLE_EVALUATION_ARENA_MODELS": "False",
    "ENABLE_PERSISTENT_CONFIG": "False",
    "ENABLE_DIRECT_CONNECTIONS": "True",
    "ENABLE_FORWARD_USER_INFO_HEADERS": "True",
    "OPENAI_API_KEYS": "any;any;any",
}
RESPONSES: Final = "responses"
"""What the ids of models begin with that are asked by Responses."""
_RESPONSES_CONNECTION: Final = {
    "enable": True,
    "api_type": "responses",
    "prefix_id": RESPONSES,
    "model_ids": ["data", "scripted"],
}
_MODEL_INFO: Final = {
    "function_calling": True,
    "json_output": True,
    "structured_output": False,
    "family": "unknown",
}


@dataclass(frozen=True, slots=True)
class Server:
    """`aiostream-server serve`, and its log."""

    url: str
    log: Path

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What it logged under this name so far."""
        lines = self.log.read_text("utf-8").splitlines()
        return [line for line in map(json.loads, filter(_is_json, lines)) if line["event"] == event]


@dataclass(frozen=True, slots=True)
class Programs:
    """Both of them, with their data in `folder`, which is empty, and their logs in `output`."""

    venv: Path
    folder: Path
    output: Path
    page_port: int = field(default_factory=free_port)

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.page_port}"

    @asynccontextmanager
    async def server(self, provider_url: str, *, name: str = "server", port: int = 0) -> AsyncIterator[Server]:
        """The built-in teams on the demo model, and `scripted` on the scripted provider. `name` is that of its log."""
        state, log = self.folder / name, self.output / f"{name}.log"
        state.mkdir(exist_ok=True)
        config = state / "server.toml"
        config.write_text(_server_toml(provider_url, self.page_url, port), "utf-8")
        command = (sys.executable, "-m", "aiostream_server", "serve", "--config", str(config))
        async with _running(*command, log=log, cwd=ROOT, STATE_DIRECTORY=str(state)) as process:

            async def find() -> str | None:
                _check_alive(process, log)
                return _announced(log)

            yield Server(await wait_for(find, "the server", within_s=_SERVER_READY_S), log)

    @asynccontextmanager
    async def open_webui(self, *api_urls: str, embeddings_url: str) -> AsyncIterator[str]:
        """Its address. It is connected to these APIs, to the first once more by its Responses, and searches in files
        with that of embeddings."""
        log, data, url = self.output / "open-webui.log", self.folder / "open-webui", self.page_url
        data.mkdir()
        extra = {
            **_OPEN_WEBUI,
            "DATA_DIR": str(data),
            "OPENAI_API_BASE_URLS": ";".join((*api_urls, api_urls[0])),
            "OPENAI_API_CONFIGS": json.dumps({str(len(api_urls)): _RESPONSES_CONNECTION}),
            "RAG_OPENAI_API_BASE_URL": embeddings_url,
            "RAG_OPENAI_API_KEY": "any",
        }
        program = str(self.venv.absolute() / "bin/open-webui")
        command = (program, "serve", "--host", "127.0.0.1", "--port", str(self.page_port))
        async with _running(*command, log=log, cwd=self.folder, **extra) as process:

            async def find() -> bool | None:
                _check_alive(process, log)
                return await _is_healthy(url) or None

            await wait_for(find, "Open WebUI", within_s=_OPEN_WEBUI_READY_S, every_s=0.5)
            yield url


@asynccontextmanager
async def _running(*command: str, log: Path, cwd: Path, **extra: str) -> AsyncIterator[asyncio.subprocess.Process]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIOSTREAM_")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=output, cwd=cwd, env={**inherited, **extra}, start_new_session=True
        )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None:
            os.killpg(process.pid, sign)
            await asyncio.wait({asyncio.create_task(process.wait())}, timeout=_END_S)


async def _is_healthy(url: str) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"{url}/health") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _check_alive(process: asyncio.subprocess.Process, log: Path) -> None:
    if process.returncode is not None:
        raise RuntimeError(f"{log.stem} ended at once:\n" + log.read_text("utf-8", "replace")[-2_000:])


def _announced(log: Path) -> str | None:
    for line in log.read_text("utf-8").splitlines():
        if line.startswith("serving "):
            return line.removeprefix("serving ").removesuffix("/v1")
    return None


def _is_json(line: str) -> bool:
    return line.startswith("{")


def _server_toml(provider_url: str, page_url: str, port: int) -> str:
    tables: dict[str, dict[str, Any]] = {
        "server": {"port": port, "drain_s": 2.0, "log_format": "json", "cors_origins": [page_url]},
        "open_webui": {"variants": ["reasoning"]},
        "models.default": {"provider": "demo", "tokens_per_s": 40.0},
        "models.scripted": {"provider": "openai", "model": "scripted", "base_url": provider_url},
        "models.seeing": {
            "provider": "openai",
            "model": "seeing",
            "base_url": provider_url,
            "model_info": {**_MODEL_INFO, "vision": True},
        },
    }
    scripted = {
        "id": "scripted",
        "name": "Scripted provider",
        "description": "Says what the test told it to.",
        "factory": "tests.kit.sample_teams:solo",
        "model": "scripted",
    }
    seeing = {**scripted, "id": "seeing", "name": "Seeing", "model": "seeing"}
    built_in = [team.model_dump(mode="json", exclude_defaults=True) for team in BUILT_IN]
    careful = {**built_in[1], "id": "careful", "name": "Careful analysis", "settings": {"ask_first": True}}
    quiet = {**built_in[1], "id": "quiet", "name": "Quiet analysis", "presentation": "reasoning"}
    teams = [*built_in, scripted, seeing, careful, quiet]
    lines = [line for name, settings in tables.items() for line in (f"[{name}]", *_pairs(settings))]
    return "\n".join([*lines, *(line for team in teams for line in ("[[teams]]", *_pairs(team))), ""])


def _pairs(settings: Mapping[str, Any]) -> list[str]:
    """TOML's scalars and arrays are written as JSON's are."""
    return [f"{key} = {_toml_value(value)}" for key, value in settings.items()]


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml_value(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
