"""A model on this machine as a provider: `models.openai` asks the process that `LlamaSupervisor` keeps."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, Self

import aiohttp
from autogen_core.models import ModelInfo

from aiostream_server.config.model import LlamaCppModelConfig, ModelInfoConfig, OpenAIModelConfig
from aiostream_server.errors import ModelFailed
from aiostream_server.models.families import model_info_of
from aiostream_server.models.llama_cpp.process import LlamaProcess, check_startable
from aiostream_server.models.llama_cpp.reply_reader import ReplyReader
from aiostream_server.models.llama_cpp.supervisor import SharedSupervisor
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
_SILENCE_S: Final = 3600.0  # it may have much to read: whether its process lives is what counts
_DEATH_S: Final = 0.5  # from a connection that breaks to the end of the process behind it


class LlamaCppProvider:
    """One `[models.*]` table with `provider = "llama.cpp"`. Nothing is started before the first request."""

    def __init__(self, config: LlamaCppModelConfig, session: aiohttp.ClientSession | None = None) -> None:
        """In the event loop. Raises `ValueError` where it could not be started: no such file, no llama.cpp."""
        check_startable(config)
        self._config = config
        self._session = session
        self._name = config.path.stem
        self._info = _info(config)
        self._model_info = model_info_of(self._name, self._info)
        self._shared = SharedSupervisor(config)
        self._asked: tuple[LlamaProcess, OpenAIProvider] | None = None

    @property
    def model_info(self) -> ModelInfo:
        return self._model_info

    @property
    def context_tokens(self) -> int:
        return self._config.context_tokens

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Delta], None]:
        """As every provider's. Raises `ValueError`, too, for tools or images where it takes none."""
        self._check(request)
        with _Aliveness(request.shortcut) as alive:
            request = replace(request, shortcut=alive.shortcut)
            is_second = False
            while True:
                async with self._shared.supervisor.running() as process:
                    try:
                        async with aclosing(self._answer(process, request)) as batches:
                            async for batch in batches:
                                alive.end()
                                yield batch
                        return
                    except ModelFailed as failure:
                        await asyncio.wait((process.ended,), timeout=_DEATH_S)
                        if process.is_alive or is_second or alive.has_ended:
                            raise self._worded(failure, process) from failure
                is_second = True  # it died before the first word, perhaps before it was asked: another one will do

    async def close(self) -> None:
        await self._shared.close()
        if self._asked is not None:
            await self._asked[1].close()

    async def _answer(self, process: LlamaProcess, request: ModelRequest) -> AsyncGenerator[Sequence[Delta], None]:
        provider = await self._provider(process)
        if not self._is_forced(process, request):
            is_native = self._config.tools == "native" or (self._config.tools == "auto" and process.knows_tools)
            messages = in_turn(request.messages) if is_native else without_calls(request.messages)
            tools = request.tools if is_native else ()
            async with aclosing(provider.stream(replace(request, messages=messages, tools=tools))) as batches:
                async for batch in batches:
                    yield batch
            return
        reader = ReplyReader()
        async with aclosing(provider.stream(_forced(request))) as batches:
            async for batch in batches:
                if said := reader.read(batch):
                    yield said

    def _is_forced(self, process: LlamaProcess, request: ModelRequest) -> bool:
        """Whether the reply is held to a grammar of ours. llama.cpp takes tools or a schema of the answer, not both;
        and with most templates it does not see to it that a tool is called."""
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
            headers={
                "Connection": "close"
            },  # it closes kept ones when it likes, perhaps under a question; a new one is free
            options=self._config.options,
            model_info=self._info,
            idle_timeout_s=_SILENCE_S,
            max_retries=0,
        ).with_api_key(process.api_key)
        before, self._asked = self._asked, (process, OpenAIProvider(config, self._session))
        if before is not None:
            await before[1].close()
        return self._asked[1]

    def _check(self, request: ModelRequest) -> None:
        if request.tools and not self._model_info["function_calling"]:
            raise unsupported("function calling", "function_calling")
        if has_images(request.messages):
            raise ValueError(f"the local model {self._name} does not support images")

    def _worded(self, failure: ModelFailed, process: LlamaProcess) -> ModelFailed:
        """Without an address that says nothing to anybody; and whether the process died."""
        if not process.is_alive:
            return ModelFailed(
                f"the process of the local model {self._name} ended while it answered ({process.ending}); "
                "the next question starts it again"
            )
        text = str(failure).replace(f"the model provider at {process.url}", f"the local model {self._name}")
        return type(failure)(text)


def _forced(request: ModelRequest) -> ModelRequest:
    return replace(
        request,
        messages=as_replies(request.messages, instructions(request)),
        tools=(),
        tool_choice="auto",
        json_output=False,
        options={**request.options, "response_format": reply_format(request)},
        shortcut=None,  # what comes is not yet what is said
    )


class _Aliveness:
    """Tells the caller of nothing, now and then, until the first words come: the model is loaded, waits for its turn,
    or reads. A run that waits for that is not idle."""

    def __init__(self, shortcut: Callable[[Sequence[Delta]], bool] | None) -> None:
        self._shortcut = shortcut
        self._timer: asyncio.TimerHandle | None = None
        self.has_ended = False

    def __enter__(self) -> Self:
        self._tell_later()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def shortcut(self) -> Callable[[Sequence[Delta]], bool] | None:
        """The request's, whose first use is the end of this."""
        return None if self._shortcut is None else self._take

    def end(self) -> None:
        self.has_ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self, batch: Sequence[Delta]) -> bool:
        self.end()
        return self._shortcut is not None and self._shortcut(batch)

    def _tell_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_ALIVE_S, self._tell)

    def _tell(self) -> None:
        if self._shortcut is not None:
            self._shortcut(())
            self._tell_later()


def _info(config: LlamaCppModelConfig) -> ModelInfoConfig:
    """A grammar makes any model write JSON, and so call tools; what is configured goes before."""
    said = config.model_info
    family = model_info_of(config.path.stem, None)["family"]
    known = ModelInfoConfig(
        vision=False, function_calling=True, json_output=True, structured_output=True, family=family
    )
    return known if said is None else known.model_copy(update=said.model_dump(include=said.model_fields_set))
