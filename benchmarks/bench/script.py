"""What the provider is to say, told by the question itself, and the stamp in each token by which its way is timed.

A stamp is the provider's monotonic clock in microseconds, which all processes of one machine share.
"""

import json
import re
import time
from dataclasses import asdict, dataclass
from typing import Final

STAMP: Final = re.compile(rb"@(\d{14}) ")


@dataclass(frozen=True, slots=True)
class Script:
    """`tokens` tokens, one every `pause_s`; without a pause, as fast as the connection takes them."""

    tokens: int
    pause_s: float = 0.0

    def question(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, question: str) -> "Script":
        return cls(**json.loads(question))


def microseconds() -> int:
    return time.monotonic_ns() // 1_000


def stamp() -> bytes:
    return b"@%014d " % microseconds()
