"""When a worker that has ended is started again: soon, but never in a loop."""

from typing import Final

_FIRST_S: Final = 0.5
_LONGEST_S: Final = 30.0
_SOUND_S: Final = 60.0


class RestartPace:
    """Of one worker. Every start waits twice as long as the one before, until a worker has lived for a minute."""

    def __init__(self) -> None:
        self._next_s = _FIRST_S

    def delay_after(self, lived_s: float) -> float:
        """In seconds, after a worker that lived for so long."""
        delay_s = _FIRST_S if lived_s >= _SOUND_S else self._next_s
        self._next_s = min(2 * delay_s, _LONGEST_S)
        return delay_s
