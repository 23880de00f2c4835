"""A real MCP server over stdio: `python mcp_program.py`. Its tools tell its pid, wait, crash, or fail."""

import asyncio
import os

from mcp.server.fastmcp import FastMCP


def served() -> FastMCP:
    server = FastMCP("tests", log_level="ERROR", port=0)
    started: list[float] = []
    cancelled: list[float] = []

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def pid() -> str:
        """The server's process id."""
        return str(os.getpid())

    @server.tool()
    async def wait(seconds: float) -> str:
        """Wait."""
        started.append(seconds)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            cancelled.append(seconds)
            raise
        return "waited"

    @server.tool()
    def waiting() -> int:
        """How many waits have started."""
        return len(started)

    @server.tool()
    def given_up() -> int:
        """How many calls were cancelled."""
        return len(cancelled)

    @server.tool()
    def crash() -> None:
        """End the process."""
        os._exit(3)

    @server.tool()
    def fail() -> None:
        """Raise."""
        raise ValueError("this never works")

    @server.tool()
    def big(size: int) -> str:
        """A lot of text."""
        return "x" * size

    return server


if __name__ == "__main__":
    served().run()
