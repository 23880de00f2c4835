"""What a start costs, in processor time: that of a machine with other work to do says nothing in seconds.

Of the 1.1 s that `serve` takes, nearly all is the import of what it serves with: AutoGen, SQLAlchemy, sqlglot, aiohttp.
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
SERVE_S = 1.5
UNUSED = (
    *("openai", "autogen_ext", "tiktoken", "anthropic", "mcp", "httpx", "langchain_core", "redis", "docker"),
    *("numpy", "pandas", "pyarrow", "matplotlib", "IPython"),
    *("alembic", "mako"),  # once the database is as this version wants it
    *("hypothesis", "pytest", "mypy"),
)
_IMPORT = re.compile(r"import time: +\d+ \| +\d+ \| +(\S+)")


def processor_seconds(pid: int) -> float:
    """Of a process that lives, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_server_is_ready_soon_and_loads_nothing_that_its_configuration_does_not_use(tmp_path: Path) -> None:
    async with open_conversations(ConversationsConfig(), tmp_path):
        pass
    config = DEMO.replace("port = 8000", "port = 0")
    async with serving_process(config, tmp_path, PYTHONPROFILEIMPORTTIME="1") as server:
        assert processor_seconds(server.process.pid) < SERVE_S
    packages = {name.partition(".")[0] for name in imported(server)}
    assert {"aiostream_server", "autogen_core", "sqlglot"} <= packages
    assert not packages.intersection(UNUSED)


def imported(server: ServerProcess) -> list[str]:
    return [found[1] for line in server.lines if (found := _IMPORT.match(line))]


@pytest.mark.parametrize(("arguments", "within_s"), [("--help", 0.3), ("version", 0.3), ("serve --help", 0.6)])
async def test_commands_that_only_tell_something_are_quick(tmp_path: Path, arguments: str, within_s: float) -> None:
    """Measured: 0.05 s; 0.27 s where the help is that of one command, with what it reads configurations with."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiostream_server", *arguments.split()),
        stdout=asyncio.subprocess.DEVNULL,
        env=environment(tmp_path),
    )
    assert await process.wait() == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < within_s
