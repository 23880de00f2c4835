"""Walks a component: every JSON object in it, with its path and the agent that it belongs to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiostream_server.teams.autogen_private import full_provider

_ROOT: Final = "$"


@dataclass(frozen=True, slots=True)
class Place:
    """One JSON object. `path` is a JSONPath, and `agent` the name of the innermost agent around it, or ""."""

    found: Mapping[str, Any]
    path: str
    agent: str
    parent: "Place | None" = None

    @property
    def provider(self) -> str:
        """The full name of its class; "" if it is no component."""
        provider = self.found.get("provider")
        return full_provider(provider) if isinstance(provider, str) else ""

    @property
    def class_name(self) -> str:
        return self.provider.rpartition(".")[2]

    @property
    def config(self) -> Mapping[str, Any]:
        config = self.found.get("config")
        return config if isinstance(config, Mapping) else {}

    @property
    def around(self) -> Iterator["Place"]:
        """The objects around it, the innermost first."""
        place = self.parent
        while place is not None:
            yield place
            place = place.parent

    @property
    def where(self) -> str:
        """Its place, for an error message."""
        return f'agent "{self.agent}", {self.path}' if self.agent else self.path


def places(component: Mapping[str, Any]) -> Iterator[Place]:
    """Every object at any depth, the outer before the inner. `read_component` has limited the depth."""
    waiting: list[Place] = [Place(component, _ROOT, _agent_of(component))]
    while waiting:
        place = waiting.pop()
        yield place
        inner = [Place(found, path, _agent_of(found) or place.agent, place) for path, found in _objects_in(place)]
        waiting += reversed(inner)


def components(component: Mapping[str, Any]) -> Iterator[Place]:
    """The objects that name a class, the outer before the inner."""
    return (place for place in places(component) if place.provider)


def _objects_in(place: Place) -> Iterator[tuple[str, Mapping[str, Any]]]:
    waiting: list[tuple[str, object]] = [(f"{place.path}.{key}", value) for key, value in place.found.items()]
    waiting.reverse()
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            yield path, value
        elif isinstance(value, list | tuple):
            waiting += reversed([(f"{path}[{number}]", item) for number, item in enumerate(value)])


def _agent_of(found: Mapping[str, Any]) -> str:
    config, provider = found.get("config"), found.get("provider")
    is_agent = found.get("component_type") == "agent" or (
        isinstance(provider, str) and provider.endswith(("Agent", "Surfer"))
    )
    name = config.get("name") if is_agent and isinstance(config, Mapping) else None
    return name if isinstance(name, str) else ""
