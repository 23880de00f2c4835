"""Draws charts in a process of its own, which starts before the first chart and ends when idle.

matplotlib takes 0.1 s for a chart and 0.5 s to import, and mostly holds the interpreter's lock, which would stall the
event loop. It also passes untrusted text to font libraries written in C. A separate process isolates both, and can be
killed when it takes too long. It gets none of the server's environment variables, which may hold secrets.
"""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiostream_server.tools.chart.arguments import MEDIA_TYPES, ChartNotDrawn, Format, read_arguments
from aiostream_server.tools.chart.plot import Plot, make_plot
from aiostream_server.tools.chart.worker import DrawRequest
from aiostream_server.tools.sql.cells import Cell

_PACKAGES: Final = Path(__file__).parents[3]
_WORKER: Final = "from aiostream_server.tools.chart.worker import main; main({idle_s})"
_TIMEOUT_S: Final = 30.0  # matplotlib lists a machine's fonts before the first chart
_IDLE_S: Final = 300.0
_MOST_WAITING: Final = 32


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn chart. `plot` is what it shows, `plot.notes` what it leaves out."""

    content: bytes
    media_type: str
    plot: Plot


class Painter:
    """Draws one chart at a time. matplotlib keeps its list of fonts in `folder`."""

    def __init__(self, folder: Path, *, timeout_s: float = _TIMEOUT_S, idle_s: float = _IDLE_S) -> None:
        self._folder: Final = folder
        self._timeout_s: Final = timeout_s
        self._idle_s: Final = idle_s
        self._turn: Final = asyncio.Lock()
        self._process: Process | None = None
        self._waiting = 0
        self._is_closed = False

    async def draw(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        arguments: Mapping[str, Any],
        form: Format = "png",
    ) -> Drawing:
        """Raises `ChartProblem` for an impossible chart, `ChartNotDrawn` where drawing fails."""
        if self._waiting >= _MOST_WAITING:
            raise ChartNotDrawn("too many charts are being drawn; try again in a moment")
        self._waiting += 1
        try:
            plot = await asyncio.to_thread(make_plot, columns, rows, read_arguments(arguments))
            async with self._turn:
                head, content = await self._ask(DrawRequest(form, plot).to_line())
        finally:
            self._waiting -= 1
        if "error" in head:
            raise ChartNotDrawn(f"the chart could not be drawn: {head['error']}")
        return Drawing(content, MEDIA_TYPES[head["form"]], plot)

    async def warm(self) -> None:
        """Start the process, so that a chart that is likely to come need not wait for it."""
        if not self._turn.locked() and not self._is_closed:
            async with self._turn:
                self._process = await self._running()

    async def close(self) -> None:
        """Kill the process. Charts that are being drawn, or wait, fail."""
        self._is_closed = True
        if self._process is not None:
            _kill(self._process)
        async with self._turn:
            await self._end()

    async def _ask(self, request: bytes) -> tuple[dict[str, Any], bytes]:
        """The answer's head and content. Any failure ends the process; the next request starts another."""
        try:
            async with asyncio.timeout(self._timeout_s):
                process = self._process = await self._running()
                if self._is_closed:
                    raise EOFError("the painter is closed")
                assert process.stdin is not None  # noqa: S101 - it was started with pipes
                assert process.stdout is not None  # noqa: S101
                process.stdin.write(request)
                await process.stdin.drain()
                head = json.loads(await process.stdout.readline())
                return head, await process.stdout.readexactly(head.get("size", 0))
        except (TimeoutError, ConnectionError, EOFError, json.JSONDecodeError) as exc:
            await self._end()
            raise ChartNotDrawn("the chart was not drawn in time, or the process that draws ended") from exc
        except BaseException:
            await self._end()
            raise

    async def _running(self) -> Process:
        """The process, or a new one where it ended because it was idle."""
        if (process := self._process) is not None and process.returncode is None:
            return process
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = str(self._folder)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _WORKER.format(idle_s=self._idle_s)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            cwd=folder,
            env={
                "PYTHONPATH": str(_PACKAGES),
                "MPLCONFIGDIR": folder,
                "HOME": folder,
                "LANG": "C.UTF-8",
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            },
        )

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            _kill(process)
            await process.communicate()  # reads and closes its pipes


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


@asynccontextmanager
async def open_painter(state_directory: Path) -> AsyncIterator[Painter]:
    """The process starts with the first chart."""
    painter = Painter(state_directory / "charts")
    try:
        yield painter
    finally:
        await painter.close()


current_painter: Final[ContextVar[Painter | None]] = ContextVar("current_painter", default=None)
"""The painter of the current run. The run sets it, as it sets `store.run_files.current_files`."""
