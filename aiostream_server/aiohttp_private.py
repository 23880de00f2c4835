"""What a live stream does not keep of aiohttp's two connections: 8 KiB of its memory, and some CPU of each token.

aiohttp keeps the head of a request and of a response for as long as it is answered or read, a timer that does nothing
while a request is answered, and five `deque`s, each of which takes 0.75 KiB while it is empty. This reaches into its
private attributes: `tests/test_aiohttp_private.py` breaks when a release of aiohttp has other ones, and then nothing
is let go of (`IS_KNOWN`).
"""

from typing import Any, Final, TypeAlias, TypeVar

from aiohttp import ClientResponse, StreamReader, web
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, CIMultiDictProxy

_T = TypeVar("_T")
_Private: TypeAlias = Any  # an object of aiohttp, for its attributes that aiohttp does not publish

IS_KNOWN: Final = {"_buffer", "_cursor", "_exception", "_http_chunk_splits", "_size", "_timer"} <= {
    *getattr(StreamReader, "__slots__", ())
} and "_messages" in getattr(web.RequestHandler, "__slots__", ())

_NO_HEADERS: Final = CIMultiDictProxy(CIMultiDict[str]())
_NOTHING: Final[tuple[()]] = ()


class ShortQueue(list[_T]):
    """The part of a `deque` that aiohttp uses, for a few things at a time: while it is empty it takes 0.06 KiB."""

    __slots__ = ()

    def popleft(self) -> _T:
        return self.pop(0)


def shrink_request(request: web.Request) -> None:
    """Call this behind all middlewares, once the body of the request was read, where its answer will take long."""
    if not IS_KNOWN:
        return
    private: _Private = request
    private._state.clear()  # what handler and middlewares have put there; `request.clear()` keeps the table
    connection: _Private = request.protocol
    connection.keep_alive(True)  # cancels the timer of idle connections, which is set again behind the answer
    if not isinstance(connection._messages, ShortQueue):
        connection._messages = ShortQueue(connection._messages)  # the requests behind this one
    connection._cache.clear()  # addresses that were looked up
    body: _Private = request.content
    if body.at_eof() and getattr(body, "_buffer", None) is not None:
        body._buffer = _NOTHING


def shrink_response(response: ClientResponse) -> None:
    """Call this once the head of a provider's response was read, and before its body is."""
    if not IS_KNOWN:
        return
    head: _Private = response
    head._headers, head._raw_headers, head._request_info, head._traces = _NO_HEADERS, (), None, _NOTHING
    head._cache.clear()  # which has the headers, too
    body: _Private = response.content
    if getattr(body, "_buffer", None) is not None:  # aiohttp's empty one is shared, and has none
        body._buffer = ShortQueue(body._buffer)
        body._http_chunk_splits = ShortQueue(body._http_chunk_splits or ())


def shrink_connection(connection: ResponseHandler) -> None:
    """A connection to a provider: the queue of its responses."""
    queue: _Private = connection
    if not isinstance(queue._buffer, ShortQueue):
        queue._buffer = ShortQueue(queue._buffer)


def can_read_all(body: StreamReader) -> bool:
    """Not of an answer that has no body: it has a reader without attributes."""
    return IS_KNOWN and getattr(body, "_buffer", None) is not None


def read_all(body: StreamReader, connection: ResponseHandler | None) -> bytes:
    """As `body.read_nowait()`. It costs 1 us less for each chunk: aiohttp's own tells the connection each time to read
    on, whether it was paused or not. The `connection` is None where all of the body has arrived."""
    private: _Private = body
    if private._exception is not None:
        raise private._exception
    private._timer.assert_timeout()
    received = private._buffer
    if not received:
        return b""
    data: bytes = received[0] if len(received) == 1 else b"".join(received)
    received.clear()
    if private._http_chunk_splits:
        private._http_chunk_splits.clear()
    private._size = 0
    private._cursor += len(data)
    if connection is not None and connection._reading_paused:
        connection.resume_reading()
    return data
