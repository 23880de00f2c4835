"""Tells which module a start, a reload or a check waits for, while it waits: one may hang.

A thread looks at the stacks of all threads. It tells the innermost line of the user's own code that an import runs, or
of a library's where the user's has none.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import structlog

from aiostream_server.service.user_modules import is_own

_FIRST_S: Final = 10.0
_AGAIN_S: Final = 20.0

_log = structlog.get_logger()


@contextmanager
def telling_slow_imports(
    tell: Callable[[str, float], object] | None = None, first_s: float = _FIRST_S
) -> Iterator[None]:
    """Inside of the block `tell` gets the place of an import that goes on, and how long the block has lasted; or it is
    logged."""
    over, began = threading.Event(), time.monotonic()

    def watch() -> None:
        wait_s = first_s
        while not over.wait(wait_s):
            wait_s = _AGAIN_S
            if (place := place_of_import()) is not None:
                (tell or _warn)(place, time.monotonic() - began)

    threading.Thread(target=watch, name="slow-imports", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def place_of_import() -> str | None:
    """`/srv/teams.py:12`: what an import of any thread is at; None where nothing is imported."""
    for frame in sys._current_frames().values():  # noqa: SLF001 - the documented way to the stacks
        if (place := _place_in(frame)) is not None:
            return place
    return None


def _place_in(innermost: FrameType) -> str | None:
    places: list[tuple[bool, str]] = []
    frame: FrameType | None = innermost
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return next((place for own, place in places if own), places[0][1] if places else None)
        if not file.startswith("<"):
            places.append((is_own(file), f"{file}:{frame.f_lineno}"))
        frame = frame.f_back
    return None


def _warn(place: str, waited_s: float) -> None:
    _log.warning("import_is_slow", place=place, waited_s=round(waited_s, 1))
