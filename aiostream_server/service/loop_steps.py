"""What a blocked event loop is doing, and for how long: from samples of its thread's stack.

A sample stands for the time since the one before. Samples of one task, or of one callback, are one step. A step that is
seen once counts only if the sampling thread waited for Python's lock meanwhile: C code held the lock then, and the
first line behind it is what the sample shows. Otherwise the steps are many and short.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from aiostream_server.service.stacks import frames_in, told_frames
from aiostream_server.teams.containment import Work, work_in

BLOCKED_S: Final = 0.1


class Sample(NamedTuple):
    """`step` is the same object in samples of one step. `stack` has the innermost frame last."""

    step: object
    work: Work | None
    stack: Sequence[str]


def sample_of_loop(loop: asyncio.AbstractEventLoop, thread_id: int) -> Sample | None:
    """What the loop, which runs in this thread, does now; None if it waits for events."""
    innermost = sys._current_frames()[thread_id]  # noqa: SLF001 - the documented way to the stacks
    frames = frames_in(innermost)
    if not frames:
        return None
    task = asyncio.current_task(loop)
    return Sample(task if task is not None else frames[0].f_code, work_in(innermost), told_frames(innermost))


class Step:
    """A task or a callback in which the loop was found. `sample` is of the place where it spent most of its time."""

    def __init__(self, first: Sample) -> None:
        self.sample = first
        self.seconds = 0.0
        self.is_told = False
        self._samples = 0
        self._held_s = 0.0
        self._seconds_at: Final[dict[str, float]] = defaultdict(float)

    def add(self, sample: Sample, seconds: float, held_s: float) -> None:
        """The step was seen, after so many `seconds`, in `held_s` of which another look was prevented."""
        self.seconds += seconds
        self._samples += 1
        self._held_s += held_s
        at, place = self._seconds_at, sample.stack[-1]
        at[place] += seconds
        if at[place] >= at[self.sample.stack[-1]]:
            self.sample = sample

    @property
    def blocks(self) -> bool:
        is_one = self._samples > 1 or self._held_s >= BLOCKED_S
        return is_one and self.seconds >= BLOCKED_S
