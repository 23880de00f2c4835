"""The configured models, opened once for the whole process: `[models.NAME]` -> a client that every run shares."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
from autogen_core.models import ChatCompletionClient

from aiostream_server.config.model import (
    ComponentModelConfig,
    DemoModelConfig,
    LlamaCppModelConfig,
    ModelConfig,
    OpenAIModelConfig,
)
from aiostream_server.config.problem_text import toml_key, toml_value
from aiostream_server.errors import ConfigError
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.provider import ModelLabel, Provider
from aiostream_server.observe.observer import NO_OBSERVER, Observer


class Models:
    """The configured models by name, and the clients of teams' components."""

    def __init__(
        self,
        clients: Mapping[str, StreamingClient],
        tables: Mapping[str, ModelConfig] | None = None,
        session: aiohttp.ClientSession | None = None,
        observer: Observer | None = None,
    ) -> None:
        """`tables` are the clients' configuration; `session` and `observer` are for components' clients."""
        self._clients = clients
        self._tables = tables or {}
        self._session = session
        self._observer = observer
        self._of_components: list[tuple[object, StreamingClient]] = []

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._clients)

    def client(self, name: str) -> StreamingClient:
        """Raises `ConfigError`, which names the known models."""
        client = self._clients.get(name)
        if client is None:
            known = ", ".join(f"[models.{known}]" for known in self._clients) or "none at all"
            raise ConfigError([f"there is no model {name!r}: the configuration has {known}"])
        return client

    def client_for(self, component: Mapping[str, Any]) -> StreamingClient:
        """The shared client in the place of a component's own; equal components share one.

        For OpenAI and Azure it is a table's client or one like it (`openai.shared_clients`). Any other class is
        imported and opened once; the caller decides whether it may be imported. Raises `ConfigError`.
        """
        from aiostream_server.models.openai.provider import OpenAIProvider
        from aiostream_server.models.openai.shared_clients import is_ours, shared_table

        if not is_ours(component):
            return self._other(component)
        tables = {name: table for name, table in self._tables.items() if isinstance(table, OpenAIModelConfig)}
        name, table = shared_table(component, tables)
        if name is not None and table is tables[name]:
            return self.client(name)
        label = ModelLabel(name or table.model, table.model, "openai", self._observer)
        subject = f"the model provider of {_table_name(name)}" if name else f"the provider of the model {table.model}"
        return self._shared(table, label, lambda: OpenAIProvider(table, self._session, subject=subject))

    async def close(self) -> None:
        """Close the components' clients; `open_models` closes the configured ones."""
        for _, client in self._of_components:
            await client.close()

    def _other(self, component: Mapping[str, Any]) -> StreamingClient:
        from aiostream_server.models.component_provider import load_component
        from aiostream_server.models.openai.component import is_masked

        provider, config = str(component.get("provider")), component.get("config", {})
        model = str(config.get("model", "unnamed"))
        for name, table in self._tables.items():
            if _stands_for(table, provider, model):
                return self.client(name)
        if any(map(is_masked, config.values())):
            raise ConfigError([_missing_key(provider, model)])
        label = ModelLabel(model, model, "component", self._observer)
        return self._shared((provider, config), label, lambda: load_component(dict(component)))

    def _shared(self, key: object, label: ModelLabel, open_provider: Callable[[], Provider]) -> StreamingClient:
        """The client that was opened for an equal `key`, or a new one."""
        for known, client in self._of_components:
            if known == key:
                return client
        try:
            opened = StreamingClient(open_provider(), label=label)
        except ValueError as exc:
            raise ConfigError([str(exc)]) from exc
        self._of_components.append((key, opened))
        return opened


def _stands_for(table: ModelConfig, provider: str, model: str) -> bool:
    """Whether the table holds a component of this class for this model; one in a file is not read."""
    match table:
        case ComponentModelConfig(component={"provider": str() as name, "config": {"model": known}}):
            return (name, known) == (provider, model)
    return False


def _missing_key(provider: str, model: str) -> str:
    component = f'{{ provider = "{provider}", config = {{ model = {toml_value(model)}, ... }} }}'
    return (
        f"the key of the model {toml_value(model)} is only asterisks; add to the configuration a [models.*] with "
        f'provider = "component", component = {component}, or write the key into the file'
    )


@asynccontextmanager
async def open_models(
    config: Mapping[str, ModelConfig],
    *,
    observer: Observer = NO_OBSERVER,
    in_threads: bool = False,
    for_components: bool = False,
    embedded: Mapping[str, ChatCompletionClient] | None = None,
) -> AsyncIterator[Models]:
    """Open all models and close them at the end; `observer` watches their calls.

    `for_components` opens the HTTP session for teams' components. Clients in `embedded` replace the tables of their
    names and are not closed. Raises `ConfigError` with every model that cannot be opened.
    """
    async with AsyncExitStack() as stack:
        session: aiohttp.ClientSession | None = None
        if for_components or any(isinstance(one, OpenAIModelConfig | LlamaCppModelConfig) for one in config.values()):
            from aiostream_server.models.openai.connections import open_session

            session = await stack.enter_async_context(open_session())
        clients = {name: _embedded(name, client, observer) for name, client in (embedded or {}).items()}
        problems: list[str] = []
        for name, table in config.items():
            if name in clients:
                continue
            try:
                if in_threads and isinstance(table, ComponentModelConfig):
                    provider, model = await asyncio.to_thread(_open, name, table, session)
                else:
                    provider, model = _open(name, table, session)
            except ValueError as error:
                problems.append(f"{_table_name(name)} {error}")
            else:
                stack.push_async_callback(provider.close)
                clients[name] = StreamingClient(provider, label=ModelLabel(name, model, table.provider, observer))
        if problems:
            raise ConfigError(problems)
        models = Models(clients, config, session, observer)
        stack.push_async_callback(models.close)
        yield models


def _embedded(name: str, client: ChatCompletionClient, observer: Observer) -> StreamingClient:
    from aiostream_server.models.component_provider import provider_of

    label = ModelLabel(name, name, "component", observer)
    return StreamingClient(provider_of(client, _table_name(name)), label=label)


def _open(name: str, config: ModelConfig, session: aiohttp.ClientSession | None) -> tuple[Provider, str]:
    """The provider, and its name of the model. Imports only the kind of provider that the configuration uses."""
    match config:
        case OpenAIModelConfig():
            from aiostream_server.models.openai.provider import OpenAIProvider

            subject = f"the model provider of {_table_name(name)}"
            return OpenAIProvider(config, session, subject=subject), config.model
        case LlamaCppModelConfig():
            from aiostream_server.models.llama_cpp.provider import LlamaCppProvider

            return LlamaCppProvider(config, session), config.path.stem
        case DemoModelConfig():
            from aiostream_server.models.demo.provider import DemoProvider

            return DemoProvider(config.tokens_per_s), name
        case ComponentModelConfig():
            from aiostream_server.models.component_provider import load_component

            return load_component(config.component, config.api_key, _table_name(name)), name


def _table_name(name: str) -> str:
    return f"[models.{toml_key(name)}]"
