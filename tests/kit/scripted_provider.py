"""A model provider that speaks OpenAI's API over real HTTP and says what a test told it to, when it was told to.

    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Hel", "lo", pause_s=0.2), ScriptedAnswer(Call("query", {"sql": "SELECT 1"})))
        ...                                    # point a model at `provider.base_url`
        assert provider.exchanges[0].body["model"] == "m"

It remembers its side of every exchange: what it was sent, when each token left, when the client went away.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Think:
    """Reasoning tokens, sent apart from the text in the delta's `key`."""

    tokens: Sequence[str]
    key: str = "reasoning_content"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; its JSON arguments come in `pieces` deltas. Text arguments are sent as they are, valid or not."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    call_id: str = "call_1"
    index: int | None = 0
    pieces: int = 3


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing ever again, with the connection open: until the client goes away."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Nothing until it is opened."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        self.opened.set()


@dataclass(frozen=True, slots=True)
class BreakOff:
    """The TCP connection is aborted."""


Step: TypeAlias = str | Think | Call | Pause | Gate | Stall | BreakOff


@dataclass(frozen=True, slots=True, init=False)
class ScriptedAnswer:
    """A stream: each `str` is one text token. `usage` is (prompt, completion) tokens; None is not said at all."""

    steps: tuple[Step, ...]
    pause_s: float
    before_s: float
    usage: tuple[int, int] | None
    finish: str | None

    def __init__(
        self,
        *steps: Step,
        pause_s: float = 0.0,
        before_s: float = 0.0,
        usage: tuple[int, int] | None = (11, 7),
        finish: str | None = None,
    ) -> None:
        """`pause_s` between tokens, `before_s` before the headers; `finish` is worked out where it is not given."""
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "pause_s", pause_s)
        object.__setattr__(self, "before_s", before_s)
        object.__setattr__(self, "usage", usage)
        object.__setattr__(self, "finish", finish)

    @property
    def finish_reason(self) -> str:
        called = any(isinstance(step, Call) for step in self.steps)
        return self.finish or ("tool_calls" if called else "stop")


@dataclass(frozen=True, slots=True)
class HttpError:
    """An answer that is refused: `body` is sent as JSON, or as it is where it is text."""

    status: int
    body: Mapping[str, Any] | str = field(default_factory=lambda: {"error": {"message": "scripted error"}})
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they are, one write per piece; `complete=False` aborts the connection after the last one."""

    pieces: Sequence[bytes]
    content_type: str = "text/event-stream"
    pause_s: float = 0.0
    complete: bool = True


Reply: TypeAlias = ScriptedAnswer | HttpError | Raw
Script: TypeAlias = Reply | Callable[[Mapping[str, Any]], Reply]


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, seen from the provider. Times are `time.monotonic()`, in seconds.

    `left` says when each token (each piece of a `Raw`) left, `closed` that the client went away before the answer was
    `complete`, and `broke_off` that the script did so itself.
    """

    body: dict[str, Any]
    headers: Mapping[str, str]
    arrived: float
    left: list[float] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    closed_at: float | None = None
    complete: bool = False
    broke_off: bool = False
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def sent(self, tokens: int) -> None:
        """Wait until so many tokens have left."""
        while len(self.left) < tokens:
            self._moved.clear()
            await self._moved.wait()

    def leave(self) -> None:
        """A token leaves now."""
        self.left.append(time.monotonic())
        self._moved.set()


class ScriptedProvider:
    """Serves `/v1/chat/completions` on a free port of 127.0.0.1 while it is entered."""

    def __init__(self, refuse: Callable[[Mapping[str, Any]], str | None] = lambda _: None) -> None:
        """`refuse` says what is wrong with a request, which is refused then as OpenAI refuses it."""
        self._refuse = refuse
        self.exchanges: list[Exchange] = []
        self.base_url = ""
        self._scripts: deque[Script] = deque()
        self._arrived = asyncio.Condition()
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/v1/chat/completions", self._handle)
        # `shutdown_timeout`: a test that leaves a stalled answer behind does not wait for it.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05)

    def script(self, *scripts: Script) -> None:
        """Queue answers, used in order. A function answers every request from its place in the queue on."""
        self._scripts.extend(scripts)

    async def request(self, number: int = 1) -> Exchange:
        """The exchange `number` (from 1), as soon as its request has arrived."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.exchanges) >= number)
        return self.exchanges[number - 1]

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        exchange = Exchange(await request.json(), request.headers.copy(), time.monotonic())
        async with self._arrived:
            self.exchanges.append(exchange)
            self._arrived.notify_all()
        try:
            return await _reply(request, self._next(exchange.body), exchange)
        except (asyncio.CancelledError, ConnectionError):
            if not exchange.broke_off:
                exchange.closed_at = time.monotonic()
                exchange.closed.set()
            raise

    def _next(self, body: Mapping[str, Any]) -> Reply:
        if (wrong := self._refuse(body)) is not None:
            return HttpError(400, {"error": {"message": wrong, "type": "invalid_request_error"}})
        if not self._scripts:
            return HttpError(500, {"error": {"message": "the test scripted no answer for this request"}})
        script = self._scripts[0]
        if not isinstance(script, ScriptedAnswer | HttpError | Raw):
            return script(body)
        self._scripts.popleft()
        return script


async def _reply(request: web.Request, reply: Reply, exchange: Exchange) -> web.StreamResponse:
    if isinstance(reply, HttpError):
        exchange.complete = True
        if isinstance(reply.body, str):
            return web.Response(status=reply.status, text=reply.body, headers=reply.headers)
        return web.json_response(reply.body, status=reply.status, headers=reply.headers)
    await asyncio.sleep(reply.before_s if isinstance(reply, ScriptedAnswer) else 0)
    kind = "text/event-stream" if isinstance(reply, ScriptedAnswer) else reply.content_type
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    if isinstance(reply, ScriptedAnswer):
        await _stream(reply, request, response, exchange)
    else:
        await _send_raw(reply, request, response, exchange)
    await response.write_eof()
    exchange.complete = True
    return response


async def _send_raw(reply: Raw, request: web.Request, response: web.StreamResponse, exchange: Exchange) -> None:
    for number, piece in enumerate(reply.pieces):
        await asyncio.sleep(reply.pause_s if number else 0)
        await _send(piece, response, exchange)
    if not reply.complete:
        await _break_off(request, exchange)


async def _stream(
    answer: ScriptedAnswer, request: web.Request, response: web.StreamResponse, exchange: Exchange
) -> None:
    for step in answer.steps:
        match step:
            case Pause():
                await asyncio.sleep(step.seconds)
            case Gate():
                await step.opened.wait()
            case Stall():
                await asyncio.Event().wait()
            case BreakOff():
                await _break_off(request, exchange)
            case _:
                for delta in _deltas(step):
                    await asyncio.sleep(answer.pause_s if exchange.left else 0)
                    event = _event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
                    await _send(event, response, exchange)
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish_reason}]}
    await response.write(_event(finish) + _end(answer))


async def _send(token: bytes, response: web.StreamResponse, exchange: Exchange) -> None:
    exchange.leave()
    await response.write(token)


def _end(answer: ScriptedAnswer) -> bytes:
    done = b"data: [DONE]\n\n"
    if answer.usage is None:
        return done
    prompt, completion = answer.usage
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return _event({"choices": [], "usage": usage}) + done


def _deltas(step: str | Think | Call) -> Sequence[Mapping[str, Any]]:
    if isinstance(step, str):
        return [{"content": step}]
    if isinstance(step, Think):
        return [{step.key: token} for token in step.tokens]
    place = {} if step.index is None else {"index": step.index}
    first = {**place, "id": step.call_id, "type": "function", "function": {"name": step.name, "arguments": ""}}
    pieces = _cut(step.arguments if isinstance(step.arguments, str) else json.dumps(step.arguments), step.pieces)
    return [{"tool_calls": [call]} for call in (first, *({**place, "function": {"arguments": p}} for p in pieces))]


def _cut(text: str, pieces: int) -> Sequence[str]:
    size = max(1, -(-len(text) // pieces))
    return [text[at : at + size] for at in range(0, len(text), size)]


_ENVELOPE: Final = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps({**_ENVELOPE, **chunk}).encode() + b"\n\n"


async def _break_off(request: web.Request, exchange: Exchange) -> None:
    """Abort, but only when what was written so far has left this process."""
    exchange.broke_off = True
    await asyncio.sleep(0.01)
    if request.transport is not None:
        request.transport.abort()
    await asyncio.Event().wait()  # the lost connection cancels this handler
