"""The stack of a thread, as it is told in logs: `/srv/teams.py:12 look_up`, the innermost frame last."""

from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

_MOST_FRAMES: Final = 40
_OF_THE_LOOP: Final = (
    ("asyncio", "events.py"),
    ("asyncio", "base_events.py"),
    ("asyncio", "runners.py"),
    ("service", "steady_loop.py"),
)


def told(code: CodeType, line: int | None) -> str:
    return f"{code.co_filename}:{line} {code.co_qualname}"


def told_frames(innermost: FrameType) -> Sequence[str]:
    return [told(each.f_code, each.f_lineno) for each in frames_in(innermost)]


def frames_in(innermost: FrameType) -> Sequence[FrameType]:
    """Those inside of the event loop; none if the loop waits for events; outside of a loop all of them."""
    found: list[FrameType] = []
    at: FrameType | None = innermost
    while at is not None and len(found) < _MOST_FRAMES and not _is_of_the_loop(at):
        found.append(at)
        at = at.f_back
    waits = len(found) == 1 and at is not None and Path(found[0].f_code.co_filename).name == "selectors.py"
    return [] if waits else found[::-1]


def _is_of_the_loop(frame: FrameType) -> bool:
    """Of uvloop, only what runs it has a frame."""
    file = Path(frame.f_code.co_filename)
    return (file.parent.name, file.name) in _OF_THE_LOOP
