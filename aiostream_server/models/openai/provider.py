"""Streams from any service that speaks OpenAI's chat completions: OpenAI, Azure, vLLM, Ollama, LiteLLM, OpenRouter ...

https://platform.openai.com/docs/api-reference/chat/create. A closed or cancelled stream closes its connection at
once. What a refusal says of options or messages is learned, and the request sent again at once; a refused or lost
request is retried with backoff, only before the answer begins.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from io import BytesIO
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

import aiohttp
import structlog
from autogen_core.models import ModelFamily
from yarl import URL

from aiostream_server import __version__
from aiostream_server.config.model import OpenAIModelConfig
from aiostream_server.errors import ModelFailed
from aiostream_server.models.families import context_tokens_of, model_info_of
from aiostream_server.models.openai.accepted_messages import AcceptedMessages, MessageDialect
from aiostream_server.models.openai.answer_reader import AnswerReader
from aiostream_server.models.openai.connections import noted_use, open_session
from aiostream_server.models.openai.failures import Failures, decoded
from aiostream_server.models.openai.messages import has_images
from aiostream_server.models.openai.output_formats import OutputFormats
from aiostream_server.models.openai.push_reader import BytesReader, PushReader
from aiostream_server.models.openai.request import AcceptedOptions, request_body
from aiostream_server.models.openai.retry import DEFAULT_RETRY, Refusal, RetryPolicy
from aiostream_server.models.openai.sequences import Wire
from aiostream_server.models.provider import Delta, ModelRequest, unsupported
from aiostream_server.models.token_sink import TokenSink, current_sink

_MAX_ERROR_BYTES: Final = 64 * 1024
_MOST_AT_ONCE_BYTES: Final = 512 * 1024
_LAST_BYTES_S: Final = 0.25  # from `[DONE]` to the end of the body; a slower connection is not reused

_log = structlog.get_logger()


class _Body(NamedTuple):
    """What a body is recognised by. The body itself, which may be megabytes, is not kept while the answer streams."""

    size_bytes: int
    hash: int

    @classmethod
    def of(cls, body: bytes) -> "_Body":
        return cls(len(body), hash(body))


class _Posted(NamedTuple):
    """A request that is being answered."""

    response: aiohttp.ClientResponse
    body: _Body
    dialect: MessageDialect


class _Refused(NamedTuple):
    body: _Body
    failure: ModelFailed


class OpenAIProvider:
    """One `[models.*]` table with `provider = "openai"`."""

    def __init__(
        self,
        config: OpenAIModelConfig,
        session: aiohttp.ClientSession | None = None,
        *,
        retry: RetryPolicy = DEFAULT_RETRY,
        reader: type[BytesReader] = PushReader,
        subject: str = "",
    ) -> None:
        """Without a `session` it opens one at its first request. `config` limits the retries, `retry` spaces them.

        `subject` names the provider in failures: `the model provider of [models.default]`.

        Raises `ValueError` if `base_url` is no URL.
        """
        self._config = config
        self._session = session
        self._reader = reader
        self._owns_session = session is None
        base = URL(config.base_url)
        self._url = (base / "chat/completions").with_query(base.query)
        # A change of the model or the service ends what it sent: signatures of another one are refused.
        self.origin: Final = blake2b(f"{self._url}\0{config.model}".encode(), digest_size=8).hexdigest()
        self._failures = Failures(str(self._url.origin()), config.api_key, subject)
        self._headers = _headers(config)
        self.model_info: Final = model_info_of(config.model, config.model_info)
        self.opens_thinking: Final = config.opens_thinking
        self.context_tokens: Final = context_tokens_of(config.model)
        self._accepted = AcceptedOptions(self.model_info["family"], config.options)
        self._messages = AcceptedMessages(config.model, config.messages)
        self._formats = OutputFormats()
        self._retry = replace(retry, max_retries=config.max_retries)
        self._warned_runs: WeakValueDictionary[int, TokenSink] = WeakValueDictionary()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Delta], None]:
        """See `Provider.stream`; the request's option `timeout` overrides `total_timeout_s`.

        Also raises `ValueError` for tools or images if the model is known not to support them.
        """
        self._check(request)
        asked = request.options.get("timeout")
        total_s = (asked if isinstance(asked, int | float) else self._config.total_timeout_s) or math.inf
        ends_at = asyncio.get_running_loop().time() + total_s
        refused: _Refused | None = None
        while True:
            posted = await self._post(request, ends_at, refused)
            request.facts.request_bytes = posted.body.size_bytes
            reader = AnswerReader(self._failures)
            taking = _Taking(reader, request)
            try:
                with self._reader(posted.response, idle_s=self._config.idle_timeout_s, ends_at=ends_at) as source:
                    while not reader.done:
                        if reader.is_behind:
                            await asyncio.sleep(0)  # other tasks get their share of the event loop
                            taking.batch = reader.feed(b"")
                        else:
                            try:
                                await source.give(taking.take)
                            except (aiohttp.ClientError, OSError) as error:
                                taking.batch = self._end_of_lost(reader, error)
                        if taking.batch:
                            yield taking.batch
                        if reader.failure is not None:
                            raise reader.failure
                await _read_to_end(posted.response)
                return
            except ModelFailed as failure:
                # LM Studio refuses messages in an answer with status 200.
                learn = self._messages.learn
                if reader.has_begun or not learn(posted.dialect, request, failure, reader.reported):
                    raise
                refused = _Refused(posted.body, failure)
            finally:
                posted.response.close()  # no effect after the end of the body
                reader.close()
                if reader.odd_fields:
                    self._warn_of(reader.odd_fields)

    @property
    def takes_schemas(self) -> bool:
        return self.model_info["structured_output"] and self._formats.takes_schemas

    @property
    def address(self) -> str:
        """Where the provider is, without path and credentials. For logs."""
        return self._failures.origin

    async def close(self) -> None:
        if self._owns_session and self._session is not None:
            await self._session.close()

    def _warn_of(self, odd_fields: Sequence[str]) -> None:
        """Once for each run."""
        run = current_sink.get()
        if run is not None:
            if self._warned_runs.get(id(run)) is run:
                return
            self._warned_runs[id(run)] = run
        _log.warning("model_answer_odd", model=self._config.model, fields=odd_fields)

    def _check(self, request: ModelRequest) -> None:
        info, said = self.model_info, self._config.model_info
        if request.tools and not info["function_calling"]:
            raise unsupported("function calling", "function_calling")
        is_known = info["family"] != ModelFamily.UNKNOWN or (said is not None and "vision" in said.model_fields_set)
        if is_known and not info["vision"] and has_images(request.messages):
            raise unsupported("images", "vision")

    async def _post(self, request: ModelRequest, deadline: float, refused: _Refused | None) -> _Posted:
        """A response with status 200, after other options, formats or messages, or retries, where they help.

        A `refused` body is not sent again: what was learned of its refusal does not concern this request.
        """
        retries, now = 0, asyncio.get_running_loop().time
        while True:
            options, dialect = self._accepted.options(request.options), self._messages.dialect
            asked, options = self._formats.asked(request, options)
            body = await self._body(asked, options, dialect)
            if refused is not None and _Body.of(body) == refused.body:
                raise refused.failure
            answer = await self._ask(body, request.headers, deadline - now())
            while isinstance(answer, Refusal) and answer.is_stale and now() < deadline:
                if request.retried is not None:
                    request.retried("connection", 0.0)
                answer = await self._ask(body, request.headers, deadline - now())  # there is one fewer in the pool
            if not isinstance(answer, Refusal):
                return _Posted(answer, _Body.of(body), dialect)
            has_learned = self._accepted.learn(options, answer.status, answer.body)
            has_learned |= self._formats.learn(request, options, answer.status, answer.body)
            if self._messages.learn(dialect, request, answer.failure, decoded(answer.body)) or has_learned:
                refused = _Refused(_Body.of(body), answer.failure)
                continue
            if self._messages.doubts_signatures(request, answer.failure, decoded(answer.body)):
                request = request.without_extra_fields()  # of this request only: those of other conversations are good
                continue
            refused = None
            delay_s = self._retry.delay_s(answer, retries)
            if delay_s is None or now() + delay_s >= deadline:
                raise answer.failure from answer.error
            if request.retried is not None:
                request.retried(str(answer.status) if answer.status else "connection", delay_s)
            await _back_off(delay_s, answer)
            retries += 1

    async def _ask(self, body: bytes, more: Mapping[str, str], left_s: float) -> aiohttp.ClientResponse | Refusal:
        if self._session is None:
            self._session = open_session()
        timeout = aiohttp.ClientTimeout(
            total=None if left_s == math.inf else max(left_s, 0.001),  # counts while the body is read, too
            connect=self._config.connect_timeout_s,
            sock_read=self._config.idle_timeout_s,
        )
        # aiohttp sends a file piece by piece, so that a large body does not block the event loop.
        data = BytesIO(body) if len(body) > _MOST_AT_ONCE_BYTES else body
        headers = {**self._headers, **more}
        with noted_use() as used:
            try:
                response = await self._session.post(
                    self._url, data=data, headers=headers, timeout=timeout, allow_redirects=False
                )
            except (aiohttp.ClientError, OSError) as error:
                return Refusal(self._failures.lost(error, answering=False), error=error, was_pooled=used.is_reused)
        if response.status == 200:
            return response
        error_body = await _error_body(response)
        failure = self._failures.refused(response.status, error_body, response.headers)
        return Refusal(failure, response.status, error_body, failure.retry_after_s or 0.0)

    async def _body(self, request: ModelRequest, options: Wire, dialect: MessageDialect) -> bytes:
        model, names = self._config.model, self._config.message_names
        if has_images(request.messages):  # encoding them as PNG blocks
            return await asyncio.to_thread(request_body, model, options, request, names, dialect)
        return request_body(model, options, request, names, dialect)

    def _end_of_lost(self, reader: AnswerReader, error: aiohttp.ClientError | OSError) -> Sequence[Delta]:
        """The last deltas of an answer, if the connection was lost behind its end. Raises `ModelFailed` before that."""
        if not reader.finished:
            raise self._failures.lost(error, answering=True) from error
        return reader.end()


class _Taking:
    """Takes the reads of one answer. `batch`: the deltas of the last one, which `request.shortcut` did not take."""

    __slots__ = ("_facts", "_reader", "_shortcut", "batch")

    def __init__(self, reader: AnswerReader, request: ModelRequest) -> None:
        self._reader = reader
        self._facts = request.facts
        self._shortcut = request.shortcut
        self.batch: Sequence[Delta] = ()

    def take(self, data: bytes) -> bool:
        """False at the end of the answer, on a failure, and where there is something in `batch`."""
        reader = self._reader
        self._facts.answer_bytes += len(data)
        batch = self.batch = reader.feed(data) if data else reader.end()
        if not data or reader.done or reader.is_behind or reader.failure is not None:
            return False
        if not batch:
            return True
        return self._shortcut is not None and self._shortcut(batch)


def _headers(config: OpenAIModelConfig) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream, application/json",
        "Accept-Encoding": "identity",  # compression holds tokens back
        "User-Agent": f"aiostream-server/{__version__}",
        **config.headers,
    }
    if config.api_key is not None:
        is_bearer = config.api_key_header.lower() == "authorization"
        headers[config.api_key_header] = ("Bearer " if is_bearer else "") + config.api_key.get_secret_value()
    return headers


async def _back_off(delay_s: float, refusal: Refusal) -> None:
    try:
        await asyncio.sleep(delay_s)
    except asyncio.CancelledError as cancelled:
        raise cancelled from refusal.failure  # the cause says that the call has cost nothing


async def _error_body(response: aiohttp.ClientResponse) -> bytes:
    """The body of a refusal, or as much of it as arrives: half a reason is better than none."""
    body = b""
    try:
        with suppress(aiohttp.ClientError, OSError):
            while len(body) < _MAX_ERROR_BYTES and (data := await response.content.readany()):
                body += data
    finally:
        response.close()
    return body


async def _read_to_end(response: aiohttp.ClientResponse) -> None:
    """Return the connection to the pool; a slow or failing one is closed instead."""
    with suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(_LAST_BYTES_S):
            while await response.content.readany():
                pass
