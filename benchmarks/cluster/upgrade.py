"""A rolling upgrade of two servers behind nginx, under load: SIGTERM, wait, start anew, the next."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiostream_server.client import ClientError, StreamClient
from aiostream_server.events import RunFinished, Token
from benchmarks.cluster.nodes import running_cluster, stop
from benchmarks.cluster.proxy import nginx
from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.redis import free_port
from benchmarks.soak.client import Stream, chat
from benchmarks.soak.provider import Plan

_PLAN: Final = Plan(tokens=30, pause_s=0.05)
_NUMBERS: Final = list(range(1, _PLAN.tokens + 1))
_BETWEEN_S: Final = 2.0
_DRAIN_S: Final = 20.0
_AGAIN_S: Final = 0.1


@dataclass(slots=True)
class _Answers:
    """Of all clients; `faults` say what was wrong with an answer."""

    whole: int = 0
    reconnects: int = 0
    first_s: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    is_over: bool = False


async def measure(folder: Path, *, clients: int, rolls: int) -> list[Figure]:
    """Half of the clients are as plain as they can be, and ask for chat completions; the others are ours."""
    answers, statuses = _Answers(), []
    settings: dict[str, object] = {"drain_s": _DRAIN_S}
    async with running_cluster(folder, 0, server=settings) as cluster:
        ports = [free_port(), free_port()]
        for port in ports:
            await cluster.start(port=port)
        async with nginx(folder, ports) as front:
            asking = [
                asyncio.create_task((_ask_plainly if at % 2 else _ask_as_client)(front, answers))
                for at in range(clients)
            ]
            for at in range(2 * rolls):
                await asyncio.sleep(_BETWEEN_S)
                statuses.append(await stop(cluster.nodes[-2]))
                await cluster.start(port=ports[at % 2])
            await asyncio.sleep(_BETWEEN_S)
            answers.is_over = True
            await asyncio.gather(*asking)
    first = f"p50 {milliseconds(percentile(answers.first_s, 50))}, most {milliseconds(max(answers.first_s))}"
    return [
        Figure("upgrades", f"{2 * rolls} servers one after the other, {clients} clients, {answers.whole} answers"),
        Figure("refused", _some(answers.refused), "0", not answers.refused),
        Figure("answers with a gap or a repetition, or without an end", _some(answers.faults), "0", not answers.faults),
        Figure("reconnects of the clients that resume", str(answers.reconnects)),
        Figure("first byte of plain answers", first),
        Figure("exit statuses", ", ".join(map(str, statuses)), "0", not any(statuses)),
    ]


async def _ask_plainly(port: int, answers: _Answers) -> None:
    loop = asyncio.get_running_loop()
    while not answers.is_over:
        asked_at = loop.time()
        _, stream = await loop.create_connection(lambda: Stream(chat(_PLAN)), "127.0.0.1", port)
        await stream.begun
        answers.first_s.append(loop.time() - asked_at)
        await stream.ended
        if not stream.run_id:
            answers.refused.append(stream.rest[:200].decode("latin-1"))
            await asyncio.sleep(_AGAIN_S)
        elif stream.numbers != _NUMBERS or not stream.is_well_formed:
            answers.faults.append(f"{stream.numbers}, {stream.rest[-200:].decode('latin-1')}")
        else:
            answers.whole += 1


async def _ask_as_client(port: int, answers: _Answers) -> None:
    """One that resumes. It is told of what went wrong only where it gives up."""

    def note(_: ClientError) -> None:
        answers.reconnects += 1

    async with StreamClient(f"http://127.0.0.1:{port}", backoff_s=0.1, on_reconnect=note) as client:
        while not answers.is_over:
            said: list[str] = []
            reason = ""
            try:
                async for event in client.stream(_PLAN.question(), model="solo"):
                    if isinstance(event, Token):
                        said.append(event.content)
                    elif isinstance(event, RunFinished):
                        reason = event.reason
            except ClientError as exc:
                answers.refused.append(str(exc))
                continue
            numbers = [int(text.partition("@")[0].removeprefix("[")) for text in said]
            if numbers != _NUMBERS or reason != "stop":
                answers.faults.append(f"{numbers} {reason}")
            else:
                answers.whole += 1


def _some(faults: list[str]) -> str:
    return f"{len(faults)}, such as {faults[0]}" if faults else "0"
