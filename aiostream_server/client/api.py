"""A server, or several that share their runs, over HTTP: URLs, the key, and the connections. Every failure is a
`ClientError` of one line.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import aiohttp

from aiostream_server.client.errors import BadAnswer, ConnectionLost, NoServer, refusal_of
from aiostream_server.events import FinishReason

_CONNECT_TIMEOUT_S: Final = 10
_CALL_TIMEOUT_S: Final = 30
_FIRST_REFUSAL: Final = 300
_NOT_READY: Final = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as the server describes it. `created_at` is Unix time in seconds.

    `reason` is None while the run goes on, `team` until it is chosen; `last_seq` is the number of the latest event.
    """

    id: str
    status: Literal["running", "finished"]
    reason: FinishReason | None
    model: str
    team: str | None
    created_at: float
    last_seq: int


def read_info(body: Mapping[str, Any]) -> RunInfo:
    """Raises `BadAnswer`."""
    try:
        return RunInfo(**{name: body[name] for name in RunInfo.__slots__})
    except (KeyError, TypeError) as exc:
        raise BadAnswer(f"the answer is no run: {exc!r:.200}") from exc


class Api:
    """The servers at `urls`, with or without `/v1`. Call `open` first and `close` last.

    One of them is asked, until it cannot be reached, breaks off or is not ready: then the next one.
    """

    def __init__(self, urls: Sequence[str], key: str | None, *, silence_timeout_s: float) -> None:
        self._bases: Final = [url.strip().rstrip("/").removesuffix("/v1").rstrip("/") for url in urls]
        if not self._bases:
            raise ValueError("no URL of a server is given")
        self._headers: Final = {"Authorization": f"Bearer {key.strip()}"} if key else {}
        # No total timeout: a team may work for minutes. The server sends heartbeats: silence means a lost connection.
        self._timeout: Final = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=silence_timeout_s
        )
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)  # with a limit, a cancel would wait for a stream to end
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout, connector=connector)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of the answer. `options` are those of aiohttp's request."""
        with self._client_errors(self._bases[0]):
            async with asyncio.timeout(_CALL_TIMEOUT_S), await self._request(method, path, **options) as response:
                try:
                    return await response.json()
                except ValueError as exc:
                    raise BadAnswer(f"{_base_of(response)} answers with something that is no JSON") from exc

    async def stream(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """A response with a body of server-sent events, unread. The caller closes it."""
        response = await self._request(method, path, **options)
        if response.content_type == "text/event-stream":
            return response
        response.close()
        raise BadAnswer(f"{_base_of(response)} answers with {response.content_type}, not with a stream of events")

    async def receive(self, response: aiohttp.ClientResponse) -> bytes:
        """Bytes that have arrived: at least one, or none at the end of the body."""
        with self._client_errors(_base_of(response)):
            return await response.content.readany()

    async def _request(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """From the first server that can be reached."""
        for _ in self._bases[1:]:
            with suppress(NoServer):  # then another one is the first of them
                return await self._request_one(self._bases[0], method, path, **options)
        return await self._request_one(self._bases[0], method, path, **options)

    async def _request_one(self, base: str, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """`options` are those of aiohttp's `request`, of any type."""
        if self._session is None:
            raise RuntimeError("use `async with StreamClient(...) as client`")
        with self._client_errors(base):
            response = await self._session.request(method, f"{base}/v1{path}", **options)
            if response.status < _FIRST_REFUSAL:
                return response
            if response.status in _NOT_READY:
                self._leave(base)
            async with response:
                raise await refusal_of(response)

    def _leave(self, base: str) -> None:
        """Ask another server first from now on."""
        if self._bases[0] == base:
            self._bases.append(self._bases.pop(0))

    @contextmanager
    def _client_errors(self, base: str) -> Iterator[None]:
        """Raises aiohttp's errors as `ClientError`s."""
        try:
            yield
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as exc:
            raise NoServer(f"{base!r} is no URL of a server; expected http://HOST:PORT") from exc
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            self._leave(base)
            raise NoServer(f"{base} does not answer: {_reason(exc)}") from exc
        except aiohttp.ClientResponseError as exc:
            raise BadAnswer(f"{base} does not answer as such a server does: {_reason(exc)}") from exc
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            self._leave(base)
            raise ConnectionLost(f"the connection to {base} was lost: {_reason(exc)}") from exc


def _base_of(response: aiohttp.ClientResponse) -> str:
    return str(response.request_info.url).partition("/v1/")[0]


def _reason(exc: BaseException) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__
