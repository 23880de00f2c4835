"""What a start costs in processor time, compared with the import of the libraries that a server needs.

Of the 1.1 s that `serve` takes, nearly all is that import: AutoGen, SQLAlchemy, sqlglot, aiohttp.
"""

import asyncio
import os
import re
import resource
import sys
from pathlib import Path

import pytest

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.conversations import open_conversations
from tests.kit.process import ServerProcess, environment, serving_process

DEMO = (Path(__file__).parents[2] / "configs" / "demo.toml").read_text("utf-8")
LIBRARIES = "autogen_agentchat.teams, autogen_agentchat.agents, sqlalchemy.ext.asyncio, sqlglot, aiohttp.web, uvloop"
UNUSED = (
    *("openai", "autogen_ext", "tiktoken", "anthropic", "mcp", "httpx", "langchain_core", "redis", "docker"),
    *("numpy", "pandas", "pyarrow", "matplotlib", "IPython"),
    *("alembic", "mako"),  # once the database is as this version wants it
    "prometheus_client",  # metrics are disabled
    *("hypothesis", "pytest", "mypy"),
)
OF_TRACING = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "aiostream_server.service.tracing.")
"""AutoGen imports OpenTelemetry's API anyway."""
_IMPORT = re.compile(r"import time: +\d+ \| +\d+ \| +(\S+)")


def processor_seconds(pid: int) -> float:
    """Of all threads of a process that lives."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_server_is_ready_soon_and_loads_nothing_that_its_configuration_does_not_use(tmp_path: Path) -> None:
    async with open_conversations(ConversationsConfig(), tmp_path):
        pass
    config = DEMO.replace("port = 8000", "port = 0")
    extra = {"PYTHONPROFILEIMPORTTIME": "1", "AIOSTREAM_METRICS__ENABLED": "false"}
    async with serving_process(config, tmp_path, **extra) as server:
        needed_s = processor_seconds(server.process.pid)
    assert needed_s < 2 * await import_seconds(tmp_path) + 0.2
    modules = imported(server)
    packages = {name.partition(".")[0] for name in modules}
    assert {"aiostream_server", "autogen_core", "sqlglot"} <= packages
    assert not packages.intersection(UNUSED)
    assert not [name for name in modules if name.startswith(OF_TRACING)]


async def import_seconds(folder: Path) -> float:
    """The processor time of a bare interpreter that imports the libraries, in the same way."""
    return await child_seconds("-c", f"import {LIBRARIES}", folder=folder, PYTHONPROFILEIMPORTTIME="1")


async def child_seconds(*arguments: str, folder: Path, **extra: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=nowhere, stderr=nowhere, env=environment(folder, **extra)
    )
    assert await process.wait() == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imported(server: ServerProcess) -> list[str]:
    return [found[1] for line in server.lines if (found := _IMPORT.match(line))]


@pytest.mark.parametrize(
    ("arguments", "imports"),
    [("--help", "import click"), ("version", "import click"), ("serve --help", "from pydantic import BaseModel")],
)
async def test_help_and_version_are_quick(tmp_path: Path, arguments: str, imports: str) -> None:
    """Measured: 0.05 s, and 0.27 s for the help of one command, which imports the model of the configuration."""
    needed_s = await least_seconds("-m", "aiostream_server", *arguments.split(), folder=tmp_path)
    assert needed_s < 4 * await least_seconds("-c", imports, folder=tmp_path) + 0.1


async def least_seconds(*arguments: str, folder: Path) -> float:
    """Of three runs: other processes on the machine make a run dearer, never cheaper."""
    return min([await child_seconds(*arguments, folder=folder) for _ in range(3)])
