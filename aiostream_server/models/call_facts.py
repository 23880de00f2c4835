"""How one model call went: for who looks at a run. Tokens are counted elsewhere."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class CallFacts:
    """Filled in while the call goes on. Times are in seconds, sizes in bytes as they were sent and read; None and 0
    where they are not known.

    `model` is the provider's name for it. `error` is the code of a failed call.
    """

    model: str = ""
    first_token_s: float | None = None
    request_bytes: int = 0
    answer_bytes: int = 0
    error: str | None = None
    _started: float = field(default_factory=time.monotonic)

    def begin_answer(self) -> None:
        """The first piece of the answer has arrived."""
        if self.first_token_s is None:
            self.first_token_s = self.duration_s

    @property
    def duration_s(self) -> float:
        """So far."""
        return round(time.monotonic() - self._started, 4)
