"""A streamed answer, piece by piece:

    async with ChatClient("http://127.0.0.1:8000") as client:
        async for text in client.ask("What is 15% of 850?"):
            print(text, end="", flush=True)

Leaving the loop, or cancelling its task, closes the connection; the server then cancels the run.
"""

import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import aiohttp

_DATA = b"data:"
_DONE = b"[DONE]"
_MAX_LINE_BYTES = 1024 * 1024


class ClientError(Exception):
    """Something that a person can read, in one line.

    * NoServer          nobody answers at the URL, or the connection broke off
    * RequestRefused    the server answered with an error; `status` is its HTTP status
    * AnswerFailed      the answer began and ended in an error
    """


class NoServer(ClientError):
    pass


class RequestRefused(ClientError):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AnswerFailed(ClientError):
    pass


class ChatClient:
    """One server. `url` with or without `/v1`; `key` is an API key, where the server wants one."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._base = url.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No total timeout: a team may work for minutes. The server's heartbeats make silence mean trouble.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout, read_bufsize=_MAX_LINE_BYTES)
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
                    raise RequestRefused(response.status, await _error_text(response))
                async for line in response.content:
                    if text := _text_of(line):
                        yield text
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as exc:
            raise NoServer(f"{self._base} does not answer: {exc or type(exc).__name__}") from exc


def _text_of(line: bytes) -> str:
    """The piece of text that one line of the stream carries, if any. Raises `AnswerFailed` for an error frame."""
    data = line.removeprefix(_DATA).strip()
    if data == line.strip() or data == _DONE:
        return ""
    frame: dict[str, Any] = json.loads(data)
    if "error" in frame:
        raise AnswerFailed(frame["error"]["message"])
    choices = frame.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


async def _error_text(response: aiohttp.ClientResponse) -> str:
    try:
        return str(json.loads(await response.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status} {response.reason}"
