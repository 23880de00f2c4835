"""MCP servers for tests: programs, and one over HTTP in the test's own loop."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import uvicorn

from aiostream_server.config.model import McpToolConfig
from tests.kit.waiting import wait_for
from tests.tools_for_teams.mcp_program import served

HERE: Final = Path(__file__).parent


def program(**settings: Any) -> McpToolConfig:
    """FastMCP over stdio."""
    return McpToolConfig(
        kind="mcp", command=sys.executable, args=(str(HERE / "mcp_program.py"),), folder=HERE, **settings
    )


def plain(mode: str, pid_file: Path, **settings: Any) -> McpToolConfig:
    """`plain_program.py`, which writes its process ids to the file."""
    args = ("-S", "-E", str(HERE / "plain_program.py"), mode, str(pid_file))
    return McpToolConfig(kind="mcp", command=sys.executable, args=args, folder=HERE, **settings)


@dataclass(frozen=True, slots=True)
class HttpServer:
    url: str
    server: uvicorn.Server

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@asynccontextmanager
async def serving_mcp(transport: Literal["http", "sse"], port: int = 0) -> AsyncIterator[HttpServer]:
    """FastMCP over HTTP on a free port, in a thread with an event loop of its own, apart from the test's tasks."""
    fast = served()
    app = fast.streamable_http_app() if transport == "http" else fast.sse_app()
    server = uvicorn.Server(
        uvicorn.Config(app, "127.0.0.1", port, log_level="critical", ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        await until(lambda: server.started)
        found = server.servers[0].sockets[0].getsockname()[1]
        yield HttpServer(f"http://127.0.0.1:{found}/{'mcp' if transport == 'http' else 'sse'}", server)
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.to_thread(thread.join)


def pids(file: Path) -> list[int]:
    """The ids of the processes that were started so far."""
    return [int(line) for line in file.read_text().split()] if file.exists() else []


async def until(holds: Callable[[], bool]) -> None:
    """Poll for a condition on processes and sockets, which have no event to wait for."""
    await wait_for(holds, every_s=0.005)
