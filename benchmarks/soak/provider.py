"""A model provider in a process of its own, which prints its port. The question is a `Plan` of what to answer."""

import asyncio
import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Final, Literal

import uvloop

from benchmarks.provider import HEAD, QuestionProtocol, serve

_REFUSAL: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n"
    b'{"error":{"message":"refused"}}'
)
_GATE_OPENS_S: Final = 1.0
_IDLE_S: Final = 1.0  # an idle connection is closed after this, so that the server keeps nothing for it


@dataclass(frozen=True, slots=True)
class Plan:
    """`tokens` tokens, one every `pause_s`, each with its number and the time of its departure, padded to `size`
    characters. Answers with the same `gate` begin together, once `gate_of` were asked for, spread over one pause.
    """

    tokens: int
    pause_s: float = 0.0
    size: int = 0
    ends: Literal["finished", "refused", "broken off"] = "finished"
    gate: str = ""
    gate_of: int = 0

    def question(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, question: str) -> "Plan":
        return cls(**json.loads(question))


ENDLESS = Plan(tokens=1_000_000, pause_s=0.5)

_gates: Final[defaultdict[str, list["Provider"]]] = defaultdict(list)


class Provider(QuestionProtocol):
    """One connection; one question after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._plan = Plan(tokens=0)
        self._said = 0
        self._next_at = 0.0

    def asked(self, question: str) -> None:
        plan = Plan.read(question)
        if self.timer is not None:
            self.timer.cancel()
        self._plan, self._said = plan, 0
        if plan.ends == "refused":
            self.transport.write(_REFUSAL)
            self._rest()
            return
        self.transport.write(HEAD)
        if not plan.gate:
            self.begin(time.monotonic())
            return
        waiting = _gates[plan.gate]
        waiting.append(self)
        if len(waiting) == plan.gate_of:
            opens_at = time.monotonic() + _GATE_OPENS_S
            for place, provider in enumerate(waiting):
                provider.begin(opens_at + plan.pause_s * place / plan.gate_of)
            waiting.clear()

    def begin(self, at: float) -> None:
        """The first token leaves at this time."""
        self._next_at = at
        self._schedule()

    def _schedule(self) -> None:
        delay_s = max(0.0, self._next_at - time.monotonic())
        self.timer = asyncio.get_running_loop().call_later(delay_s, self._say)

    def _say(self) -> None:
        if self._said == self._plan.tokens:
            self._end()
            return
        if not self.is_held:
            self._said += 1
            self._write(_delta(f"[{self._said}@{time.monotonic():.6f}]".ljust(self._plan.size, ".")))
        self._next_at += self._plan.pause_s
        self._schedule()

    def _end(self) -> None:
        if self._plan.ends == "broken off":
            self.transport.abort()
            return
        self._write(_FINISH)
        self.transport.write(b"0\r\n\r\n")
        self._rest()

    def _rest(self) -> None:
        self.timer = asyncio.get_running_loop().call_later(_IDLE_S, self.transport.close)

    def _write(self, event: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))


def _delta(text: str) -> bytes:
    return b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % text.encode()


_FINISH: Final = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
    b"data: [DONE]\n\n"
)


if __name__ == "__main__":
    uvloop.run(serve(Provider))
