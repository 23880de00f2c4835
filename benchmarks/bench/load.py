"""The clients, in a process of their own: one protocol object per connection, which counts tokens by their stamps.

The same process reads the CPU time of the server's processes, at the same moment as the tokens, and prints a
`LoadResult` as JSON.
"""

import asyncio
import json
import re
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final, cast

import uvloop

from benchmarks.accounting import cpu_s, memory_bytes, system_s
from benchmarks.bench.protocols import CHAT, PROTOCOLS, Asked
from benchmarks.bench.script import NO_HISTORY, History, Script, microseconds

_END_OF_BODY: Final = b"\r\n0\r\n\r\n"
_CHUNK_EDGE: Final = re.compile(rb"\r\n[1-9a-f][0-9a-f]*\r\n")  # no event has CRLF in it; a stamp may be cut by an edge
_KEPT_BYTES: Final = 64  # kept of earlier data: a stamp or the end may be cut
_LOOK_S: Final = 0.05
_GOLDEN: Final = 0.618034  # its multiples fall evenly between 0 and 1, however many there are


@dataclass(frozen=True, slots=True)
class Load:
    """`answers` answers to the same script, each after the same `history`, over `connections` connections.

    Connections are opened evenly over `ramp_s`, so that paced streams are out of step like those of many readers.
    """

    port: int
    pids: tuple[int, ...]
    script: Script
    connections: int
    answers: int
    ramp_s: float = 0.0
    deadline_s: float = 120.0
    history: History = NO_HISTORY

    @classmethod
    def read(cls, text: str) -> "Load":
        told = json.loads(text)
        made = {"script": Script(**told["script"]), "history": History(**told["history"]), "pids": tuple(told["pids"])}
        return cls(**{**told, **made})

    def opens_s(self, place: int) -> float:
        """When a connection is opened, in seconds from the start."""
        step = place * _GOLDEN % 1.0
        return self.ramp_s * place / self.connections + (self.script.pause_s * step if self.ramp_s else 0.0)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """CPU times are the server's, except `client_cpu_s`.

    `processes_cpu_s` is that of each of the server's processes. `steady_*` covers the time in which every connection
    streams; `steady_system_s` is the kernel's part of it. `late_us` is the delay of each token; `first_byte_us` and
    `first_token_us` count from the question.
    """

    tokens: int
    answers: int
    wall_s: float
    cpu_s: float
    processes_cpu_s: list[float]
    client_cpu_s: float
    steady_tokens: int
    steady_cpu_s: float
    steady_system_s: float
    memory_before: int
    memory_live: int
    memory_after: int
    first_byte_us: list[int]
    first_token_us: list[int]
    late_us: list[int]

    @classmethod
    def read(cls, text: str) -> "LoadResult":
        return cls(**json.loads(text))


@dataclass(slots=True)
class Steady:
    """What streaming alone takes: from the last stream's beginning to the first one's end.

    `system_s` is the kernel's part of `cpu_s`, in hundredths of a second; `memory` is the maximum.
    """

    tokens: int = 0
    cpu_s: float = 0.0
    system_s: float = 0.0
    memory: int = 0

    async def watch(self, pids: tuple[int, ...], streams: "Sequence[Connection]", expected: int) -> None:
        """Watch until the first stream ends. `streams` grows to `expected` items meanwhile."""
        begun: tuple[int, float, float] | None = None
        while True:
            if len(streams) == expected and all(stream.is_live for stream in streams):
                now = sum(stream.tokens for stream in streams), cpu_s(pids), system_s(pids)
                begun = begun or now
                self.tokens, self.cpu_s, self.system_s = now[0] - begun[0], now[1] - begun[1], now[2] - begun[2]
                self.memory = max(self.memory, memory_bytes(pids))
            elif begun:
                return
            await asyncio.sleep(_LOOK_S)


class Connection(asyncio.Protocol):
    """One client: asks, reads the whole answer, and asks the next question, until there is none left."""

    def __init__(self, questions: Iterator[bytes], protocol: Asked = PROTOCOLS[CHAT]) -> None:
        self.tokens = 0
        self.is_live = False
        self.first_byte_us: array[int] = array("q")
        self.first_token_us: array[int] = array("q")
        self.late_us: array[int] = array("q")
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._questions = questions
        self._stamp = protocol.stamp
        self._end = protocol.end
        self._asked_at = 0
        self._is_begun = False
        self._answered_tokens = 0
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transport does not inherit from it
        self._ask()

    def _ask(self) -> None:
        question = next(self._questions, None)
        if question is None:
            self._transport.close()
            return
        self._asked_at, self._is_begun, self.is_live, self._rest = microseconds(), False, False, b""
        self._transport.write(question)

    def data_received(self, data: bytes) -> None:
        now = microseconds()
        if not self._is_begun:
            self._is_begun = True
            self.first_byte_us.append(now - self._asked_at)
            if not data.startswith(b"HTTP/1.1 200"):
                self._fail(data)
                return
        received = _CHUNK_EDGE.sub(b"", self._rest + data)
        seen = 0
        for found in self._stamp.finditer(received):
            self.late_us.append(now - int(found[1]))
            self.tokens += 1
            seen = found.end()
        if seen and not self.is_live:
            self.is_live = True
            self.first_token_us.append(now - self._asked_at)
        self._rest = received[max(seen, len(received) - _KEPT_BYTES) :]
        if received.endswith(_END_OF_BODY):
            if self._end not in self._rest:
                self._fail(received)
                return
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_live = False
        if not self.ended.done():
            self.ended.set_result(None)

    def _fail(self, data: bytes) -> None:
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(f"not a whole answer: {data[-2_000:]!r}"))
        self._transport.abort()


async def put(load: Load) -> LoadResult:
    """Put the load on the server. Raises `RuntimeError` where a token is missing or arrives twice."""
    loop = asyncio.get_running_loop()
    questions = iter([load.history.request(load.script, place) for place in range(load.answers)])
    memory_before, cpu_before, own_before = memory_bytes(load.pids), _each_cpu_s(load.pids), time.process_time()
    started = time.monotonic()
    connections: list[Connection] = []
    protocol = PROTOCOLS[load.script.protocol]
    steady = Steady()
    watching = asyncio.create_task(steady.watch(load.pids, connections, load.connections))
    for place in range(load.connections):
        await asyncio.sleep(max(0.0, started + load.opens_s(place) - time.monotonic()))
        _, connection = await loop.create_connection(lambda: Connection(questions, protocol), "127.0.0.1", load.port)
        connections.append(connection)
    await asyncio.gather(*(connection.ended for connection in connections))
    wall_s = time.monotonic() - started
    processes_cpu_s = [after - before for before, after in zip(cpu_before, _each_cpu_s(load.pids), strict=True)]
    watching.cancel()
    await asyncio.wait((watching,))
    tokens = sum(connection.tokens for connection in connections)
    if tokens != load.answers * load.script.tokens:
        raise RuntimeError(f"{tokens} tokens came, not {load.answers} x {load.script.tokens}")
    return LoadResult(
        tokens=tokens,
        answers=load.answers,
        wall_s=wall_s,
        cpu_s=sum(processes_cpu_s),
        processes_cpu_s=processes_cpu_s,
        client_cpu_s=time.process_time() - own_before,
        steady_tokens=steady.tokens,
        steady_cpu_s=steady.cpu_s,
        steady_system_s=steady.system_s,
        memory_before=memory_before,
        memory_live=steady.memory,
        memory_after=memory_bytes(load.pids),
        first_byte_us=[each for connection in connections for each in connection.first_byte_us],
        first_token_us=[each for connection in connections for each in connection.first_token_us],
        late_us=[each for connection in connections for each in connection.late_us],
    )


def _each_cpu_s(pids: tuple[int, ...]) -> list[float]:
    return [cpu_s((pid,)) for pid in pids]


async def main(load: Load) -> None:
    async with asyncio.timeout(load.deadline_s):
        seen = await put(load)
    sys.stdout.write(json.dumps(asdict(seen)))


if __name__ == "__main__":
    uvloop.run(main(Load.read(sys.argv[1])))
