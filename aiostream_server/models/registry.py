"""The configured models, opened once for the whole process: `[models.NAME]` -> a client that every run shares."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from aiostream_server.config.model import ComponentModelConfig, DemoModelConfig, ModelConfig, OpenAIModelConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.label import ModelLabel
from aiostream_server.models.provider import Provider
from aiostream_server.observe.observer import NOBODY, Observer


class Models:
    """Every model by its name in the configuration."""

    def __init__(self, clients: Mapping[str, StreamingClient]) -> None:
        self._clients = clients

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._clients)

    def client(self, name: str) -> StreamingClient:
        """Raise `ConfigError`, which names the models there are."""
        client = self._clients.get(name)
        if client is None:
            known = ", ".join(f"[models.{known}]" for known in self._clients) or "none at all"
            raise ConfigError([f"there is no model {name!r}: the configuration has {known}"])
        return client


@asynccontextmanager
async def open_models(
    config: Mapping[str, ModelConfig], *, observer: Observer = NOBODY, in_threads: bool = False
) -> AsyncIterator[Models]:
    """Open them all, close them all; `observer` is told of their calls.

    Raises `ConfigError` with every model that cannot be opened.
    """
    async with AsyncExitStack() as stack:
        session: aiohttp.ClientSession | None = None
        if any(isinstance(model, OpenAIModelConfig) for model in config.values()):
            from aiostream_server.models.openai.provider import open_session

            session = await stack.enter_async_context(open_session())
        clients: dict[str, StreamingClient] = {}
        problems: list[str] = []
        for name, model in config.items():
            try:
                if in_threads and isinstance(model, ComponentModelConfig):
                    provider = await asyncio.to_thread(_open, model, session)
                else:
                    provider = _open(model, session)
            except ValueError as error:
                problems.append(f"models.{name}: {error}")
            else:
                stack.push_async_callback(provider.close)
                called = model.model if isinstance(model, OpenAIModelConfig) else name
                clients[name] = StreamingClient(provider, label=ModelLabel(name, called, model.provider, observer))
        if problems:
            raise ConfigError(problems)
        yield Models(clients)


def _open(config: ModelConfig, session: aiohttp.ClientSession | None) -> Provider:
    """What a configuration does not use is not imported."""
    match config:
        case OpenAIModelConfig():
            from aiostream_server.models.openai.provider import OpenAIProvider

            return OpenAIProvider(config, session)
        case DemoModelConfig():
            from aiostream_server.models.demo.provider import DemoProvider

            return DemoProvider(config.tokens_per_s)
        case ComponentModelConfig():
            from aiostream_server.models.component import load_component

            return load_component(config.component, config.api_key)
