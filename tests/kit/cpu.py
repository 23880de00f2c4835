"""Measures what a call costs, apart from what the rest of the test process costs."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def takes_less_than(seconds: float) -> Iterator[None]:
    """Asserts that the block took less CPU time of this thread.

    Without the garbage collector: one collection of all that a process has run before takes a second.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    began = time.thread_time()
    try:
        yield
        took_s = time.thread_time() - began
    finally:
        if was_enabled:
            gc.enable()
    assert took_s < seconds, f"{took_s:.2f} s"
