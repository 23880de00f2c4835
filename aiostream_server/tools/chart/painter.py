"""Draws charts in a process of its own, which starts with the first chart and ends when idle.

matplotlib takes 0.1 s for a chart and 0.5 s to import, and mostly holds the interpreter's lock, which would stall the
event loop. It also passes untrusted text to font libraries written in C. A separate process isolates both, and can be
killed when it takes too long. It gets none of the server's environment variables, which may hold secrets.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from aiostream_server.tools.chart.arguments import MEDIA_TYPES, ChartNotDrawn, Format, read_arguments
from aiostream_server.tools.chart.plot import Plot, make_plot
from aiostream_server.tools.chart.worker import DrawRequest
from aiostream_server.tools.sql.cells import Cell

_PACKAGES: Final = Path(__file__).parents[3]
_WORKER: Final = "from aiostream_server.tools.chart.worker import main; main({idle_s})"
_TIMEOUT_S: Final = 30.0  # matplotlib lists a machine's fonts before the first chart
_IDLE_S: Final = 300.0
_EXIT_TIMEOUT_S: Final = 1.0
_MOST_WAITING: Final = 32
_MAX_HEAD_BYTES: Final = 4_096


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
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="charts")
        self._process: subprocess.Popen[bytes] | None = None
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
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._draw, columns, rows, arguments, form)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Kill the process. Charts that are being drawn, or wait, fail."""
        self._is_closed = True
        if (process := self._process) is not None:
            process.kill()
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        if self._process is not None:
            await asyncio.to_thread(_end, self._process)

    # In the painter's thread

    def _draw(
        self, columns: Sequence[str], rows: Sequence[Sequence[Cell]], arguments: Mapping[str, Any], form: Format
    ) -> Drawing:
        plot = make_plot(columns, rows, read_arguments(arguments))
        request = DrawRequest(form, plot).to_line()
        had_process = self._process is not None
        head, content = self._ask(request)
        if not head and had_process and not self._is_closed:  # the process has just ended because it was idle
            head, content = self._ask(request)
        if not head:
            raise ChartNotDrawn("the chart was not drawn in time, or the process that draws ended")
        if "error" in head:
            raise ChartNotDrawn(f"the chart could not be drawn: {head['error']}")
        return Drawing(content, MEDIA_TYPES[head["form"]], plot)

    def _ask(self, request: bytes) -> tuple[dict[str, Any], bytes]:
        """The answer's head and content; both empty where the process ended."""
        process = self._process = self._started()
        stdin, stdout = _streams(process)
        if self._is_closed:
            process.kill()
        deadline = threading.Timer(self._timeout_s, process.kill)
        deadline.start()
        try:
            stdin.write(request)
            stdin.flush()
            head = json.loads(stdout.readline(_MAX_HEAD_BYTES) or "{}")
            content = stdout.read(int(head.get("size", 0)))
        except (OSError, ValueError):
            head, content = {}, b""
        finally:
            deadline.cancel()
        if not head:
            _end(process)
            self._process = None
        return head, content

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = str(self._folder)
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _WORKER.format(idle_s=self._idle_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
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


@asynccontextmanager
async def open_painter(state_directory: Path) -> AsyncIterator[Painter]:
    """The process starts with the first chart."""
    painter = Painter(state_directory / "charts")
    try:
        yield painter
    finally:
        await painter.close()


def _streams(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("the process was started with pipes")
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in _streams(process):
        with suppress(OSError):  # closing flushes what was not sent
            stream.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_EXIT_TIMEOUT_S)


current_painter: Final[ContextVar[Painter | None]] = ContextVar("current_painter", default=None)
"""The painter of the current run. The run sets it, as it sets `store.run_files.current_files`."""
