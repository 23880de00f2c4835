"""The cheapest possible model provider, in a process of its own, which prints its port.

It writes one event of OpenAI's documented shape for each token, each in an HTTP chunk and a write of its own, so that
each is a packet of its own while the reader keeps up. Without a pause it writes the answer at once, as far as the
connection takes it: the next read of a busy server finds many tokens.
"""

import asyncio
from typing import Final

from benchmarks.bench.script import Script, stamp
from benchmarks.provider import HEAD, QuestionProtocol, serve

_CHUNK: Final = (
    b'{"id":"chatcmpl-C8b3fLKHJ9mEoYqzW5uTn2RdVa17x","object":"chat.completion.chunk","created":1763836800,'
    b'"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_44709d6fcb",'
)
_BEFORE: Final = b"data: " + _CHUNK + b'"choices":[{"index":0,"delta":{"content":"'
_AFTER: Final = b'"},"logprobs":null,"finish_reason":null}]}\n\n'
_SIZE: Final = b"%x\r\n" % len(_BEFORE + stamp() + _AFTER)
_LAST: Final = (
    b"data: " + _CHUNK + b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n',
    b"data: " + _CHUNK + b'"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}\n\n',
    b"data: [DONE]\n\n",
)
_END: Final = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in _LAST) + b"0\r\n\r\n"


class Provider(QuestionProtocol):
    """One connection; one question after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._script = Script(tokens=0)
        self._said = 0
        self._next_at = 0.0
        self._loop = asyncio.get_running_loop()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    def asked(self, question: str) -> None:
        self._script, self._said = Script.read(question), 0
        self.transport.write(HEAD)
        self._next_at = self._loop.time()
        self._go_on()

    def _go_on(self) -> None:
        if self._script.pause_s:
            self._say_in_time()
        else:
            self._say_at_once()

    def _say_at_once(self) -> None:
        while self._said < self._script.tokens:
            if self.is_held:
                return
            self._say()
            if self._script.turn_every and self._said % self._script.turn_every == 0:
                self.timer = self._loop.call_later(0, self._go_on)
                return
        self._end()

    def _say_in_time(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.is_held:
            return
        if self._said == self._script.tokens:
            self._end()
            return
        self._say()
        self._next_at += self._script.pause_s
        self.timer = self._loop.call_at(self._next_at, self._say_in_time)

    def _say(self) -> None:
        self._said += 1
        self.transport.write(b"%b%b%b%b\r\n" % (_SIZE, _BEFORE, stamp(), _AFTER))

    def _end(self) -> None:
        if self._said >= 0:
            self._said = -1
            self._script = Script(tokens=-1)
            self.transport.write(_END)


if __name__ == "__main__":
    # On asyncio's loop: uvloop joins the writes of one turn of the loop into one packet.
    asyncio.run(serve(Provider))
