"""A streamed answer, piece by piece:

    async with ChatClient("http://127.0.0.1:8000") as client:
        async for text in client.ask("What is 15% of 850?"):
            print(text, end="", flush=True)

Leaving the loop, or cancelling its task, closes the connection; the server then cancels the run.
"""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.http import HttpProcessingError

from aiostream_server.client.errors import NoServer, RequestRefused
from aiostream_server.client.frames import DONE, read_frame, refusal_text

_LINE_BUFFER_BYTES: Final = 1024 * 1024
_CONNECT_TIMEOUT_S: Final = 10
_SILENCE_TIMEOUT_S: Final = 120


class ChatClient:
    """One server. `url` with or without `/v1`; `key` is an API key, where the server wants one."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._base = url.rstrip("/").removesuffix("/v1").rstrip("/")
        self._headers = {"Authorization": f"Bearer {key.strip()}"} if key else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No total timeout: a team may work for minutes. The server's heartbeats make silence mean trouble.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=_SILENCE_TIMEOUT_S)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout, read_bufsize=_LINE_BUFFER_BYTES)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, question: str, *, model: str = "auto") -> AsyncIterator[str]:
        """Each piece of the answer's text as it arrives. Raises `ClientError`."""
        if self._session is None:
            raise RuntimeError("use `async with ChatClient(...) as client`")
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": question}]}
        try:
            async with self._session.post(f"{self._base}/v1/chat/completions", json=body) as response:
                if response.status != 200:
                    raise RequestRefused(response.status, await refusal_text(response))
                async for text in _pieces(response):
                    yield text
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as exc:
            raise NoServer(f"{self._base!r} is no URL of a server; expected http://HOST:PORT") from exc
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise NoServer(f"{self._base} does not answer: {str(exc) or type(exc).__name__}") from exc


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The text of every frame, to the end; raises `NoServer` for a body that has none."""
    while line := await _next_line(response):
        frame = read_frame(line)
        if frame is DONE:
            return
        if frame:
            yield frame
    raise NoServer("the connection broke off in the middle of the answer")


async def _next_line(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.content.readline()
    except HttpProcessingError as exc:  # a line longer than the buffer
        raise NoServer("the answer is no stream of server-sent events: a line of it is too long") from exc
