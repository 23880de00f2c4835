"""Failure memory: a question that has just failed for a lasting reason gets the run that failed when it is asked again.

Client libraries repeat failed requests by themselves, some whatever the headers say (the AI SDK repeats every 5xx and
429 three times). Each repetition would be a whole run, which asks the provider three times again.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from aiostream_server.events import Error
from aiostream_server.intake.principal import Owner

_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Failure:
    run_id: str
    until: float


class FailureMemory:
    """The latest lasting failures of one process, by owner and by a fingerprint of what was asked.

    Holds ids only: the runs are kept, and bounded, by the directory.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[Owner, str], _Failure] = OrderedDict()

    def note(self, owner: Owner, fingerprint: str, run_id: str, error: Error, *, for_s: float) -> None:
        """Remember it for `for_s`, or until asking again can succeed. A failure that may pass at once is ignored."""
        if error.retry_after_s is not None:
            for_s = min(for_s, error.retry_after_s)
        if not error.lasting or for_s <= 0:
            return
        self._failures[owner, fingerprint] = _Failure(run_id, time.monotonic() + for_s)
        self._failures.move_to_end((owner, fingerprint))
        if len(self._failures) > _MOST:
            self._failures.popitem(last=False)

    def find(self, owner: Owner, fingerprint: str) -> str | None:
        """The id of the run that failed."""
        failure = self._failures.get((owner, fingerprint))
        if failure is not None and time.monotonic() < failure.until:
            return failure.run_id
        self._failures.pop((owner, fingerprint), None)
        return None

    def clear(self) -> None:
        """Another configuration may have mended everything."""
        self._failures.clear()
