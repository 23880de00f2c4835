"""Any service that speaks OpenAI's chat completions: OpenAI, vLLM, Ollama, llama.cpp, LiteLLM ...

https://platform.openai.com/docs/api-reference/chat/create. One pool of connections serves all models of the process; a
stream that is closed or cancelled closes its connection at once.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Final

import aiohttp
from autogen_core.models import ModelInfo
from yarl import URL

from aiostream_server import __version__
from aiostream_server.config.model import OpenAIModelConfig
from aiostream_server.models.families import model_info_of
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.openai.messages import has_images
from aiostream_server.models.openai.request import request_body
from aiostream_server.models.openai.stream import AnswerReader
from aiostream_server.models.provider import Delta, ModelRequest

_MAX_ERROR_BYTES: Final = 64 * 1024
_LAST_BYTES_S: Final = 0.25  # from `[DONE]` to the end of the body, if the connection is to be used again


def open_session() -> aiohttp.ClientSession:
    """A pool without a limit of its own: runs are what is limited. To be called in the loop that uses it."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())


class OpenAIProvider:
    """One `[models.*]` table with `provider = "openai"`."""

    def __init__(self, config: OpenAIModelConfig, session: aiohttp.ClientSession | None = None) -> None:
        """Without a `session` it opens one at its first request. Raises `ValueError` if `base_url` is no URL."""
        self._config = config
        self._session = session
        self._owns_session = session is None
        self._url = URL(f"{config.base_url.rstrip('/')}/chat/completions")
        self._failures = Failures(str(self._url.origin()), config.api_key)
        self._headers = _headers(config)
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=config.connect_timeout_s, sock_read=config.idle_timeout_s
        )
        self._with_usage = True  # until the provider says that it does not know `stream_options`

    @property
    def model_info(self) -> ModelInfo:
        return model_info_of(self._config.model, self._config.model_info)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Delta], None]:
        response = await self._post(request)
        try:
            reader = AnswerReader(self._failures)
            if response.content_type == "application/json":
                yield reader.whole(await self._read_all(response))
                return
            if response.content_type == "text/html":
                raise self._failures.said("answered with a web page: is its base_url right?")
            while not reader.done:
                data = await self._read(response, reader)
                if deltas := reader.feed(data) if data else reader.end():
                    yield deltas
                if reader.failure is not None:
                    raise reader.failure
            await _read_to_end(response)
        finally:
            response.close()  # nothing, where the body was read to its end

    async def close(self) -> None:
        if self._owns_session and self._session is not None:
            await self._session.close()

    async def _post(self, request: ModelRequest) -> aiohttp.ClientResponse:
        body = await self._body(request)
        if self._session is None:
            self._session = open_session()
        try:
            response = await self._session.post(
                self._url, data=body, headers=self._headers, timeout=self._timeout, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError) as error:
            raise self._failures.lost(error, answering=False) from error
        if response.status == 200:
            return response
        error_body = await _error_body(response)
        if self._with_usage and response.status in (400, 422) and b"stream_options" in error_body:
            self._with_usage = False
            return await self._post(request)
        raise self._failures.refused(response.status, error_body)

    async def _body(self, request: ModelRequest) -> bytes:
        if has_images(request.messages):  # they are encoded as PNG, which takes its time
            return await asyncio.to_thread(self._encode, request)
        return self._encode(request)

    def _encode(self, request: ModelRequest) -> bytes:
        return request_body(self._config.model, self._config.options, request, with_usage=self._with_usage)

    async def _read(self, response: aiohttp.ClientResponse, reader: AnswerReader) -> bytes:
        """Whatever has arrived; empty at the end."""
        try:
            return await response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            if reader.finished:
                return b""
            raise self._failures.lost(error, answering=True) from error

    async def _read_all(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            return await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise self._failures.lost(error, answering=True) from error


def _headers(config: OpenAIModelConfig) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream, application/json",
        "Accept-Encoding": "identity",  # compression holds tokens back
        "User-Agent": f"aiostream-server/{__version__}",
    }
    if config.api_key is not None:
        headers["Authorization"] = f"Bearer {config.api_key.get_secret_value()}"
    return headers


async def _error_body(response: aiohttp.ClientResponse) -> bytes:
    """What there is of it: a reason that breaks off is better than none."""
    body = b""
    try:
        with suppress(aiohttp.ClientError, OSError):
            while len(body) < _MAX_ERROR_BYTES and (data := await response.content.readany()):
                body += data
    finally:
        response.close()
    return body


async def _read_to_end(response: aiohttp.ClientResponse) -> None:
    """Let the connection go back to the pool; one that lingers, or fails now, is closed instead."""
    with suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(_LAST_BYTES_S):
            while await response.content.readany():
                pass
