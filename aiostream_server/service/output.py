"""Standard output and standard error that never block the program.

A pipe that nothing reads is full after 64 KiB, and the next write waits: in the event loop's thread that stops every
client. `queue_output` replaces `sys.stdout` and `sys.stderr`, so that logs, warnings, tracebacks and `print` go through
bounded queues, and threads write them to the descriptors. Lines that find the queue full, and lines that cannot be
written (a full disk, a closed pipe), are dropped and counted; the log tells how many as soon as it is written again.
A line that the kernel takes at once is written by its own thread: to wake another one for each costs the event loop
more, which has to wait for it, long where the machine is busy.

At the end of the process what is queued is written within `LAST_LINES_S`, or dropped.
"""

import atexit
import io
import os
import select
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

import structlog

LAST_LINES_S: Final = 0.5
_MAX_QUEUED_BYTES: Final = 4 * 1024**2
_ATOMIC_BYTES: Final = select.PIPE_BUF  # longer writes of several workers to one pipe may be mixed up
_END: Final = b""
_NON_BLOCKING_S: Final = 1.0
_POLL_S: Final = 0.002

_log = structlog.get_logger()


class QueuedOutput(io.RawIOBase):
    """The bytes on their way to `descriptor`. `write` returns at once, in any thread, signal handler or finalizer.

    Once the queue was full, nothing is queued until half of it is written: the gap is told in one line, where it is.
    """

    def __init__(self, descriptor: int, stream: str, *, max_bytes: int = _MAX_QUEUED_BYTES) -> None:
        super().__init__()
        self.dropped_lines = 0
        """Since the start."""
        self._descriptor: Final = descriptor
        self._stream: Final = stream
        self._max_bytes: Final = max_bytes
        self._queue: Final[SimpleQueue[bytes]] = SimpleQueue()
        self._lock = threading.RLock()  # reentrant: a finalizer may write in the middle of `write`
        self._queued_bytes = 0
        self._untold_lines = 0
        self._is_dropping = False
        self._is_torn = False
        self._has_thread = True
        self._write_at_once: Final = _non_blocking(descriptor)
        os.register_at_fork(after_in_child=self._in_forked_child)
        threading.Thread(target=self._write_for_ever, name=f"write-{stream}", daemon=True).start()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, piece: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]  # 3.11 has no Buffer
        written = bytes(piece)
        size = len(written)
        if not self._has_thread:
            self._write_what_fits(written)
            return size
        with self._lock:
            if self._is_written_at_once(written):
                return size
            if self._queued_bytes and self._queued_bytes + size > self._max_bytes:
                self._is_dropping = True
            if self._is_dropping:
                self._drop(written)
            elif size:
                self._queued_bytes += size
                self._queue.put(written)
        return size

    def _is_written_at_once(self, written: bytes) -> bool:
        """All of it or nothing, as writes of this size are. Nothing may be queued or lost before it."""
        if self._queued_bytes or self._untold_lines or self._is_torn or not 0 < len(written) <= _ATOMIC_BYTES:
            return False
        try:
            return self._write_at_once(written) == len(written)
        except OSError:
            return False

    def flush_within(self, seconds: float) -> None:
        """Wait until everything is written, or the time is over."""
        ends_at = time.monotonic() + seconds
        while self._has_thread and self._queued_bytes and time.monotonic() < ends_at:
            time.sleep(_POLL_S)

    def end(self) -> None:
        """Called when the interpreter ends and stops the thread. Later output is written at once, or dropped."""
        self.flush_within(LAST_LINES_S)
        self._has_thread = False
        self._queue.put(_END)

    def _in_forked_child(self) -> None:
        self._lock = threading.RLock()  # another thread may have held it
        self._has_thread = False

    def _write_for_ever(self) -> None:
        following: bytes | None = None
        while (batch := self._queue.get() if following is None else following) != _END:
            following = self._queued()
            while following and len(batch) + len(following) <= _ATOMIC_BYTES:
                batch += following
                following = self._queued()
            self._write_batch(batch)

    def _queued(self) -> bytes | None:
        try:
            return self._queue.get_nowait()
        except Empty:
            return None

    def _write_batch(self, batch: bytes) -> None:
        is_written = self._write_all(batch)
        with self._lock:
            self._queued_bytes -= len(batch)
            if not is_written:
                self._drop(batch)
            if self._queued_bytes <= self._max_bytes // 2:
                self._is_dropping = False
            untold = 0 if self._is_dropping or not is_written else self._untold_lines
            self._untold_lines -= untold
        if untold:
            _log.warning("output_dropped", stream=self._stream, lines=untold)

    def _write_all(self, batch: bytes) -> bool:
        """Wait as long as that takes. Returns False for what cannot be written."""
        left = memoryview(b"\n" + batch if self._is_torn else batch)
        size = len(left)
        try:
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:  # another program that shares the pipe has made it non-blocking
                    select.select((), (self._descriptor,), (), _NON_BLOCKING_S)
        except (OSError, ValueError):
            self._is_torn = self._is_torn or len(left) < size
            return False
        self._is_torn = False
        return True

    def _write_what_fits(self, written: bytes) -> None:
        with suppress(OSError, ValueError):
            for start in range(0, len(written), _ATOMIC_BYTES):
                if not select.select((), (self._descriptor,), (), 0)[1]:
                    break
                os.write(self._descriptor, written[start : start + _ATOMIC_BYTES])

    def _drop(self, written: bytes) -> None:
        lines = max(1, written.count(b"\n"))
        self.dropped_lines += lines
        self._untold_lines += lines


def _non_blocking(descriptor: int) -> Callable[[bytes], int]:
    """Writes what the kernel takes without waiting; raises OSError for what it does not.

    A pipe and a terminal are opened once more: making the descriptor itself non-blocking would change it for all
    programs that share it. Returns 0 always where that is not allowed.
    """
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(kind):
        connection = socket.socket(fileno=os.dup(descriptor))
        return lambda piece: connection.send(piece, socket.MSG_DONTWAIT)
    try:
        opened = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return lambda _: 0
    if stat.S_ISREG(kind):
        os.close(opened)  # it has a position of its own
        return lambda piece: os.write(descriptor, piece)
    return lambda piece: os.write(opened, piece)


def queue_output() -> None:
    """Replace `sys.stdout` and `sys.stderr`. One that is closed, or no file of the operating system, is left as it is.

    To be called in a process that serves, before logging is configured.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):
            continue
        stream.flush()
        output = QueuedOutput(descriptor, name)
        text = io.TextIOWrapper(output, stream.encoding, stream.errors, line_buffering=True)  # type: ignore[type-var]
        setattr(sys, name, text)
        atexit.register(output.end)


def flush_output(within_s: float) -> None:
    """Before a process ends itself without the interpreter's help."""
    for output in _outputs().values():
        output.flush_within(within_s)


def dropped_lines() -> Mapping[str, int]:
    """How many lines were dropped since the start, by stream."""
    return {"stdout": 0, "stderr": 0} | {name: output.dropped_lines for name, output in _outputs().items()}


def _outputs() -> Mapping[str, QueuedOutput]:
    raw = {name: getattr(getattr(sys, name), "buffer", None) for name in ("stdout", "stderr")}
    return {name: output for name, output in raw.items() if isinstance(output, QueuedOutput)}
