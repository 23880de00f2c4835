"""The runs of a server, from Python:

    async with StreamClient("http://127.0.0.1:8000") as client:
        async for event in client.stream("What is 15% of 850?"):
            print(event)

Leaving the loop by `break`, by an exception or by the cancellation of the task cancels the run.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from uuid import uuid4

from aiostream_server.client.api import Api, RunInfo, read_info
from aiostream_server.client.errors import BadAnswer, ClientError
from aiostream_server.client.retry import Backoff
from aiostream_server.client.stream import OnLeaving, RunStream

Question: TypeAlias = str | Sequence[Mapping[str, object]]
"""One question, or a conversation: messages in OpenAI's shape."""


class StreamClient:
    """The server at `url`, with or without `/v1`, or several that share their runs; `key` is an API key, if they want
    one. Of several the first is asked, and the next when it cannot be reached, breaks off or is not ready.

    After a lost connection the client reconnects and resumes: up to `max_reconnects` times in a row, after about
    `backoff_s`, then twice that, and so on, or after as long as the server asks for. A connection is lost when nothing
    arrives for `silence_timeout_s`, not even a heartbeat. `on_reconnect` gets the error each time.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        key: str | None = None,
        *,
        max_reconnects: int = 5,
        backoff_s: float = 0.5,
        silence_timeout_s: float = 30.0,
        on_reconnect: Callable[[ClientError], object] = lambda error: None,
    ) -> None:
        self._api: Final = Api([url] if isinstance(url, str) else url, key, silence_timeout_s=silence_timeout_s)
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
        """Ask, and iterate over the run's events. The request is sent when the first event is awaited.

        `conversation` is a name of your choice: the team remembers the conversation, so only the new question need be
        sent. `on_disconnect` says what happens to the run when the loop is left before its end. `fields` are more
        fields of the request, such as `max_tokens`.
        """
        return self._open(body=_body(question, model, conversation, fields), on_disconnect=on_disconnect)

    def attach(self, run_id: str, *, after: int = 0, on_disconnect: OnLeaving = "continue") -> RunStream:
        """Watch a run that exists, from the event after number `after` on."""
        return self._open(run_id=run_id, after=after, on_disconnect=on_disconnect)

    async def start(
        self,
        question: Question,
        *,
        model: str = "auto",
        conversation: str | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> str:
        """Ask without watching. The id of the run."""
        backoff, headers = self._new_backoff(), {"Idempotency-Key": str(uuid4())}
        body = {**_body(question, model, conversation, fields), "background": True}
        while True:
            try:
                return _id_of(await self._api.call("POST", "/runs", json=body, headers=headers))
            except ClientError as exc:
                if (delay_s := backoff.delay_s(exc)) is None:
                    raise
                self._on_reconnect(exc)
                await asyncio.sleep(delay_s)

    async def cancel(self, run_id: str) -> RunInfo:
        """Cancel a run. A run that has ended stays as it is."""
        return read_info(await self._api.call("POST", f"/runs/{run_id}/cancel"))

    async def run(self, run_id: str) -> RunInfo:
        return read_info(await self._api.call("GET", f"/runs/{run_id}"))

    async def runs(self) -> list[RunInfo]:
        """The caller's runs, newest first: running ones, and finished ones that the server keeps."""
        body = await self._api.call("GET", "/runs", params={"limit": "100"})
        if not isinstance(body, dict) or not isinstance(body.get("data"), list):
            raise BadAnswer("the answer is no list of runs")
        return [read_info(each) for each in body["data"]]

    def _new_backoff(self) -> Backoff:
        return Backoff(self._max_reconnects, self._backoff_s)

    def _open(self, **settings: Any) -> RunStream:
        stream = RunStream(
            self._api, self._new_backoff(), on_reconnect=self._on_reconnect, on_end=self._streams.discard, **settings
        )
        self._streams.add(stream)
        return stream


def _body(
    question: Question, model: str, conversation: str | None, fields: Mapping[str, object] | None
) -> dict[str, object]:
    """The body of a request. `on_disconnect` is "continue", because the client itself cancels a run that is left: the
    server must not take a lost connection for that."""
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else list(question)
    named = {} if conversation is None else {"conversation": conversation}
    return {**(fields or {}), **named, "model": model, "messages": messages, "on_disconnect": "continue"}


def _id_of(body: Any) -> str:
    if isinstance(body, dict) and isinstance(run_id := body.get("id"), str):
        return run_id
    raise BadAnswer("the answer names no run")
