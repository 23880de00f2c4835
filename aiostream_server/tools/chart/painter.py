"""Draws charts without holding up anybody: in a process of its own, started at the first chart, ended when idle.

matplotlib takes a tenth of a second for a chart and half a second to import, most of it with the interpreter's lock
held; and it hands text of strangers to font libraries written in C. A process keeps both apart from the server, and one
that takes too long can be ended. It starts with none of the server's environment, in which secrets may stand.
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

from aiostream_server.tools.chart.arguments import MEDIA_TYPES, Format, read_arguments
from aiostream_server.tools.chart.errors import ChartNotDrawn, ChartProblem
from aiostream_server.tools.chart.planning import make_plot
from aiostream_server.tools.chart.plot import Plot
from aiostream_server.tools.chart.values import Cell

__all__ = ["ChartNotDrawn", "ChartProblem", "Drawing", "Painter", "current_painter", "open_painter"]

_PACKAGES: Final = Path(__file__).parents[3]
_WORKER: Final = "from aiostream_server.tools.chart.worker import main; main({idle_s})"
_TIMEOUT_S: Final = 30.0  # the first chart of a machine waits until its fonts are listed
_IDLE_S: Final = 300.0
_END_S: Final = 1.0
_MOST_WAITING: Final = 32
_LONGEST_HEAD: Final = 4_096


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart as bytes. `plot` is what it shows, `plot.notes` what it leaves out."""

    content: bytes
    media_type: str
    plot: Plot


class Painter:
    """Draws one chart after the other. `folder` holds matplotlib's list of fonts."""

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
        """Raises `ChartProblem` for a chart that cannot be, `ChartNotDrawn` for one that could not be drawn."""
        if self._waiting >= _MOST_WAITING:
            raise ChartNotDrawn("too many charts are being drawn; try again in a moment")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._draw, columns, rows, arguments, form)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """A chart that is being drawn is drawn no further."""
        self._is_closed = True
        if (process := self._process) is not None:
            process.kill()
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        if self._process is not None:
            await asyncio.to_thread(_end, self._process)

    # In its thread

    def _draw(
        self, columns: Sequence[str], rows: Sequence[Sequence[Cell]], arguments: Mapping[str, Any], form: Format
    ) -> Drawing:
        plot = make_plot(columns, rows, read_arguments(arguments))
        request = json.dumps({"form": form, "plot": plot.to_json()}).encode() + b"\n"
        had_process = self._process is not None
        head, content = self._ask(request)
        if not head and had_process and not self._is_closed:  # it had just ended, having been idle
            head, content = self._ask(request)
        if not head:
            raise ChartNotDrawn("the chart was not drawn in time, or the process that draws ended")
        if "error" in head:
            raise ChartNotDrawn(f"the chart could not be drawn: {head['error']}")
        return Drawing(content, MEDIA_TYPES[head["form"]], plot)

    def _ask(self, request: bytes) -> tuple[dict[str, Any], bytes]:
        """Nothing where the process ended instead."""
        process = self._process = self._started()
        stdin, stdout = _streams(process)
        if self._is_closed:
            process.kill()
        deadline = threading.Timer(self._timeout_s, process.kill)
        deadline.start()
        try:
            stdin.write(request)
            stdin.flush()
            head = json.loads(stdout.readline(_LONGEST_HEAD) or "{}")
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
    """Starts nothing yet."""
    painter = Painter(state_directory / "charts")
    try:
        yield painter
    finally:
        await painter.close()


def _streams(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("it was started with pipes")
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in _streams(process):
        with suppress(OSError):  # what was not sent any more
            stream.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)


current_painter: Final[ContextVar[Painter | None]] = ContextVar("current_painter", default=None)
"""Set by the driver of a run, as `store.run_files.current_files` is: whoever draws finds it there."""
