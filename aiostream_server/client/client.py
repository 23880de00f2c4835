"""A server's runs, from Python:

    async with StreamClient("http://127.0.0.1:8000") as client:
        async for event in client.stream("What is 15% of 850?"):
            print(event)

Leaving the loop, by `break`, by an exception or because the task is cancelled, cancels the run.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from uuid import uuid4

from aiostream_server.client.api import Api
from aiostream_server.client.errors import BadAnswer, ClientError
from aiostream_server.client.info import RunInfo, read_info
from aiostream_server.client.pace import Pace
from aiostream_server.client.stream import OnLeaving, RunStream

Question: TypeAlias = str | Sequence[Mapping[str, object]]
"""One question, or a conversation: messages in OpenAI's shape."""


class StreamClient:
    """One server. `url` with or without `/v1`; `key` is an API key, where the server wants one.

    A lost connection is taken up again, up to `max_reconnects` times in a row, after about `backoff_s`, then twice
    that, and so on, or as long as the server asks for. A connection on which nothing is heard for `silence_timeout_s`,
    not even a heartbeat, is lost. `on_reconnect` is told why, each time.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        max_reconnects: int = 5,
        backoff_s: float = 0.5,
        silence_timeout_s: float = 30.0,
        on_reconnect: Callable[[ClientError], object] = lambda error: None,
    ) -> None:
        self._api: Final = Api(url, key, silence_timeout_s=silence_timeout_s)
        self._max_reconnects: Final = max_reconnects
        self._backoff_s: Final = backoff_s
        self._on_reconnect: Final = on_reconnect
        self._streams: set[RunStream] = set()

    async def __aenter__(self) -> Self:
        self._api.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await asyncio.gather(*(stream.aclose() for stream in self._streams))
        finally:
            await self._api.close()

    def stream(
        self,
        question: Question,
        *,
        model: str = "auto",
        conversation: str | None = None,
        on_disconnect: OnLeaving = "cancel",
        fields: Mapping[str, object] | None = None,
    ) -> RunStream:
        """Ask, and iterate over the run's events. Nothing is sent before the first is asked for.

        `conversation` is your name for one: the team goes on from what it remembers of it, and only the new question
        need be sent. `on_disconnect` is what becomes of the run when the loop is left before its end; `fields` are more
        fields of the request, such as `max_tokens`.
        """
        return self._open(body=_body(question, model, conversation, fields), on_disconnect=on_disconnect)

    def attach(self, run_id: str, *, after: int = 0, on_disconnect: OnLeaving = "continue") -> RunStream:
        """Watch a run that was started before, from the event behind number `after` on."""
        return self._open(run_id=run_id, after=after, on_disconnect=on_disconnect)

    async def start(
        self,
        question: Question,
        *,
        model: str = "auto",
        conversation: str | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> str:
        """Ask, without watching; the run's id."""
        pace, headers = self._new_pace(), {"Idempotency-Key": str(uuid4())}
        body = {**_body(question, model, conversation, fields), "background": True}
        while True:
            try:
                return _id_of(await self._api.call("POST", "/runs", json=body, headers=headers))
            except ClientError as exc:
                if (delay_s := pace.delay_s(exc)) is None:
                    raise
                self._on_reconnect(exc)
                await asyncio.sleep(delay_s)

    async def cancel(self, run_id: str) -> RunInfo:
        """End a run; one that has ended stays as it is."""
        return read_info(await self._api.call("POST", f"/runs/{run_id}/cancel"))

    async def run(self, run_id: str) -> RunInfo:
        return read_info(await self._api.call("GET", f"/runs/{run_id}"))

    async def runs(self) -> list[RunInfo]:
        """One's own, newest first: those that are going on, and those that are kept."""
        body = await self._api.call("GET", "/runs", params={"limit": "100"})
        if not isinstance(body, dict) or not isinstance(body.get("data"), list):
            raise BadAnswer("the answer is no list of runs")
        return [read_info(each) for each in body["data"]]

    def _new_pace(self) -> Pace:
        return Pace(self._max_reconnects, self._backoff_s)

    def _open(self, **settings: Any) -> RunStream:
        stream = RunStream(
            self._api, self._new_pace(), on_reconnect=self._on_reconnect, on_end=self._streams.discard, **settings
        )
        self._streams.add(stream)
        return stream


def _body(
    question: Question, model: str, conversation: str | None, fields: Mapping[str, object] | None
) -> dict[str, object]:
    """Whoever leaves says himself what becomes of the run: a connection that is lost is nobody who left."""
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else list(question)
    named = {} if conversation is None else {"conversation": conversation}
    return {**(fields or {}), **named, "model": model, "messages": messages, "on_disconnect": "continue"}


def _id_of(body: Any) -> str:
    if isinstance(body, dict) and isinstance(run_id := body.get("id"), str):
        return run_id
    raise BadAnswer("the answer names no run")
