"""One server over HTTP: where it is, who asks, and what its answers mean.

Whatever goes wrong comes out as a `ClientError` of one line.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiohttp

from aiostream_server.client.errors import BadAnswer, ConnectionLost, NoServer
from aiostream_server.client.refusal import refusal

_CONNECT_TIMEOUT_S: Final = 10
_CALL_TIMEOUT_S: Final = 30
_FIRST_REFUSAL: Final = 300


class Api:
    """`url` with or without `/v1`. Opened by `open`, and closed by `close`."""

    def __init__(self, url: str, key: str | None, *, silence_timeout_s: float) -> None:
        self._base: Final = url.strip().rstrip("/").removesuffix("/v1").rstrip("/")
        self._headers: Final = {"Authorization": f"Bearer {key.strip()}"} if key else {}
        # No total timeout: a team may work for minutes. The server's heartbeats make silence mean trouble.
        self._timeout: Final = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=silence_timeout_s
        )
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)  # a cancel must not wait behind the streams
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout, connector=connector)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of the answer. `options` are aiohttp's."""
        with self._telling():
            async with asyncio.timeout(_CALL_TIMEOUT_S), await self._request(method, path, **options) as response:
                try:
                    return await response.json()
                except ValueError as exc:
                    raise BadAnswer(f"{self._base} answers with something that is no JSON") from exc

    async def stream(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """An answer whose body is server-sent events, unread; close it."""
        with self._telling():
            response = await self._request(method, path, **options)
        if response.content_type == "text/event-stream":
            return response
        response.close()
        raise BadAnswer(f"{self._base} answers with {response.content_type}, not with a stream of events")

    async def receive(self, response: aiohttp.ClientResponse) -> bytes:
        """What came since the last time, at least one byte; none at the body's end."""
        with self._telling():
            return await response.content.readany()

    async def _request(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("use `async with StreamClient(...) as client`")
        response = await self._session.request(method, f"{self._base}/v1{path}", **options)
        if response.status < _FIRST_REFUSAL:
            return response
        async with response:
            raise await refusal(response)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """aiohttp's errors as ours."""
        try:
            yield
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as exc:
            raise NoServer(f"{self._base!r} is no URL of a server; expected http://HOST:PORT") from exc
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            raise NoServer(f"{self._base} does not answer: {_reason(exc)}") from exc
        except aiohttp.ClientResponseError as exc:
            raise BadAnswer(f"{self._base} does not answer as such a server does: {_reason(exc)}") from exc
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise ConnectionLost(f"the connection to {self._base} was lost: {_reason(exc)}") from exc


def _reason(exc: BaseException) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__
