"""Replaces the model clients of a component by shared ones, which are opened once and given to every build.

AutoGen makes every part of a team from JSON. Here the JSON has a number in place of each model client, and loading
that number returns the shared client.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Final

from autogen_core import Component as AutoGenComponent
from autogen_core import ComponentBase
from autogen_core.models import ChatCompletionClient
from pydantic import BaseModel

from aiostream_server.errors import ConfigError
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.openai.shared_clients import is_ours
from aiostream_server.models.registry import Models
from aiostream_server.teams.components.places import Place, components
from aiostream_server.teams.components.policy import class_of
from aiostream_server.teams.components.reading import Component

_clients: ContextVar[Sequence[StreamingClient]] = ContextVar("clients", default=())
_EACH_RUNS_OWN: Final = ("ReplayChatCompletionClient", "ChatCompletionCache")
"""These are built for each run: a recorded conversation starts again with each, and a cache wraps its own client."""


class HandedConfig(BaseModel):
    number: int


class HandedClient(ComponentBase[HandedConfig], AutoGenComponent[HandedConfig]):
    """Takes the place of a client in the copy that `with_shared_clients` makes; loads as the client itself."""

    component_type: ClassVar[str] = "model"
    component_config_schema = HandedConfig
    component_provider_override = "aiostream_server.teams.components.clients.HandedClient"

    @classmethod
    def _from_config(cls, config: HandedConfig) -> Any:  # a client, not an instance of this class
        return _clients.get()[config.number]


@contextmanager
def handing(clients: Sequence[StreamingClient]) -> Iterator[None]:
    """Components that are loaded inside the block get these clients."""
    token = _clients.set(clients)
    try:
        yield
    finally:
        _clients.reset(token)


def with_shared_clients(
    component: Component, models: Models, model: str | None = None
) -> tuple[Component, Sequence[StreamingClient]]:
    """Returns a copy with numbers in place of model clients, and the clients in the order of their numbers.

    `model` is the `[models.*]` table that replaces all of them; without it each client is built as the file says. The
    classes must be imported already. Raises `ConfigError` with a line for every client that cannot be built.
    """
    numbers: dict[int, int] = {}
    clients: list[StreamingClient] = []
    problems: dict[str, list[Place]] = {}
    to_add: dict[str, None] = {}
    for place in components(component):
        if any(id(outer.found) in numbers for outer in place.around) or not _is_model(place):
            continue
        if model is None and place.class_name in _EACH_RUNS_OWN:
            continue
        try:
            clients.append(models.client_for(_in_full(place)) if model is None else models.client(model))
        except ConfigError as exc:
            to_add |= dict.fromkeys(exc.to_add)
            for problem in exc.problems:
                problems.setdefault(problem, []).append(place)
        else:
            numbers[id(place.found)] = len(clients) - 1
    if problems:
        raise ConfigError([f"{_all_of(at)}: {problem}" for problem, at in problems.items()], [*to_add])
    return _copy(component, numbers), tuple(clients)


def _all_of(at: Sequence[Place]) -> str:
    first, *more = at
    names = ", ".join(dict.fromkeys(place.agent or place.path for place in more))
    return f"{first.where}{f' (and of {names})' if names else ''}"


def _is_model(place: Place) -> bool:
    if is_ours(_in_full(place)):
        return True
    if not isinstance(place.found.get("config"), Mapping):  # AutoGen reports what is wrong with it
        return False
    found = class_of(place)
    return isinstance(found, type) and issubclass(found, ChatCompletionClient)


def _in_full(place: Place) -> Component:
    return {**place.found, "provider": place.provider}


def _copy(value: Any, numbers: Mapping[int, int]) -> Any:  # any JSON
    if isinstance(value, Mapping):
        if (number := numbers.get(id(value))) is not None:
            provider = HandedClient.component_provider_override
            return {"provider": provider, "component_type": "model", "config": {"number": number}}
        return _upgraded({key: _copy(item, numbers) for key, item in value.items()})
    return [_copy(item, numbers) for item in value] if isinstance(value, list | tuple) else value


def _upgraded(component: dict[str, Any]) -> dict[str, Any]:
    """Changes the first version of `AssistantAgent`, which AutoGen Studio 0.4 writes, to the second one.

    The second has a list of workbenches where the first had one. No other component has changed since AutoGen 0.5.
    """
    class_name, config = str(component.get("provider")).rpartition(".")[2], component.get("config")
    if class_name == "AssistantAgent" and component.get("component_version") == 1 and isinstance(config, dict):
        component["component_version"] = 2
        if isinstance(workbench := config.get("workbench"), dict):
            config["workbench"] = [workbench]
    return component
