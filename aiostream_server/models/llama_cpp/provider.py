"""A model on this machine as a provider: asks the supervised llama.cpp process through `models.openai`."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, Self

import aiohttp
from msgspec import structs

from aiostream_server.config.model import LlamaCppModelConfig, ModelInfoConfig, OpenAIModelConfig
from aiostream_server.errors import ModelFailed
from aiostream_server.models.families import model_info_of
from aiostream_server.models.llama_cpp.process import LlamaProcess, check_startable
from aiostream_server.models.llama_cpp.reply_reader import ReplyReader
from aiostream_server.models.llama_cpp.supervisor import shared_supervisor
from aiostream_server.models.llama_cpp.tool_prompts import (
    as_replies,
    in_turn,
    instructions,
    reply_format,
    without_calls,
)
from aiostream_server.models.openai.messages import has_images
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.provider import Delta, ModelRequest, unsupported

_ALIVE_S: Final = 1.0
_SILENCE_S: Final = 3600.0  # a long prompt takes long: a dead process is noticed otherwise
_DEATH_S: Final = 0.5  # from a lost connection to the end of a crashed process


class LlamaCppProvider:
    """One `[models.*]` table with `provider = "llama.cpp"`. The first request starts the process."""

    def __init__(self, config: LlamaCppModelConfig, session: aiohttp.ClientSession | None = None) -> None:
        """Call it in the event loop. Raises `ValueError` without the file or llama.cpp."""
        check_startable(config)
        self._config = config
        self._session = session
        self._name = config.path.stem
        self._info = _info(config)
        self.model_info: Final = model_info_of(self._name, self._info)
        self.context_tokens: Final = config.context_tokens
        self.takes_schemas: Final = True
        self._supervisor = shared_supervisor(config)
        self._asked: tuple[LlamaProcess, OpenAIProvider] | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Delta], None]:
        """See `Provider.stream`; also raises `ValueError` for unsupported tools or images."""
        self._check(request)
        with _Heartbeat(request.shortcut) as heartbeat:
            request = structs.replace(request, shortcut=heartbeat.take)
            is_second = False
            while True:
                async with self._supervisor.running() as process:
                    try:
                        async with aclosing(self._answer(process, request)) as batches:
                            async for batch in batches:
                                heartbeat.end()
                                yield batch
                        return
                    except ModelFailed as failure:
                        await asyncio.wait((process.ended,), timeout=_DEATH_S)
                        if process.is_alive:
                            raise
                        if is_second or heartbeat.has_ended:
                            raise self._ended(process) from failure
                is_second = True  # it crashed before the first word: try a new process once

    async def close(self) -> None:
        await self._supervisor.close()
        if self._asked is not None:
            await self._asked[1].close()

    async def _answer(self, process: LlamaProcess, request: ModelRequest) -> AsyncGenerator[Sequence[Delta], None]:
        provider = await self._provider(process)
        if not self._is_forced(process, request):
            is_native = self._config.tools == "native" or (self._config.tools == "auto" and process.knows_tools)
            messages = in_turn(request.messages) if is_native else without_calls(request.messages)
            tools = request.tools if is_native else ()
            async with aclosing(provider.stream(structs.replace(request, messages=messages, tools=tools))) as batches:
                async for batch in batches:
                    yield batch
            return
        reader = ReplyReader()
        async with aclosing(provider.stream(_forced(request))) as batches:
            async for batch in batches:
                if said := reader.read(batch):
                    yield said

    def _is_forced(self, process: LlamaProcess, request: ModelRequest) -> bool:
        """Whether our grammar constrains the reply. llama.cpp takes tools or an answer schema, not both; and with most
        templates it does not enforce a required tool call."""
        if not request.tools or request.tool_choice == "none":
            return False
        if self._config.tools == "auto":
            is_native = process.knows_tools and request.tool_choice == "auto" and not request.json_output
            return not is_native
        return self._config.tools == "grammar" or bool(request.json_output)

    async def _provider(self, process: LlamaProcess) -> OpenAIProvider:
        if self._asked is not None and self._asked[0] is process:
            return self._asked[1]
        config = OpenAIModelConfig(
            provider="openai",
            model=self._name,
            base_url=f"{process.url}/v1",
            # llama.cpp may close a kept connection under a request; a new one costs nothing here.
            headers={"Connection": "close"},
            options=self._config.options,
            model_info=self._info,
            idle_timeout_s=_SILENCE_S,
            max_retries=0,
        ).with_secret(process.api_key)
        asked = OpenAIProvider(config, self._session, subject=f"the local model {self._name}")
        before, self._asked = self._asked, (process, asked)
        if before is not None:
            await before[1].close()
        return asked

    def _check(self, request: ModelRequest) -> None:
        if request.tools and not self.model_info["function_calling"]:
            raise unsupported("function calling", "function_calling")
        if has_images(request.messages):
            raise ValueError(f"the local model {self._name} does not support images")

    def _ended(self, process: LlamaProcess) -> ModelFailed:
        return ModelFailed(
            f"the process of the local model {self._name} ended while it answered ({process.ending}); "
            "the next question starts it again"
        )


def _forced(request: ModelRequest) -> ModelRequest:
    return structs.replace(
        request,
        messages=as_replies(request.messages, instructions(request)),
        tools=(),
        tool_choice="auto",
        json_output=False,
        options={**request.options, "response_format": reply_format(request)},
        shortcut=None,  # deltas are JSON: `ReplyReader` decodes them
    )


class _Heartbeat:
    """Calls `shortcut` with an empty batch each second until the first words come, so that the run does not count as
    idle while the model loads, waits for its turn, or reads the prompt."""

    def __init__(self, shortcut: Callable[[Sequence[Delta]], bool] | None) -> None:
        self._shortcut = shortcut
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(_ALIVE_S, self._tell)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def has_ended(self) -> bool:
        return self._timer is None

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self, batch: Sequence[Delta]) -> bool:
        """The request's shortcut; its first use ends the heartbeat."""
        self.end()
        return self._shortcut is not None and self._shortcut(batch)

    def _tell(self) -> None:
        self.__enter__()
        if self._shortcut is not None:
            self._shortcut(())


def _info(config: LlamaCppModelConfig) -> ModelInfoConfig:
    """A grammar makes any model write JSON and call tools; the configuration overrides that."""
    said = config.model_info
    family = model_info_of(config.path.stem, None)["family"]
    known = ModelInfoConfig(
        vision=False, function_calling=True, json_output=True, structured_output=True, family=family
    )
    return known if said is None else known.model_copy(update=said.model_dump(include=said.model_fields_set))
