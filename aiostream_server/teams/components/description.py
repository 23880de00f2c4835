"""Describes a component without importing it: agents, models, tools, when the team ends, and whether it has secrets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aiostream_server.models.openai.component import is_masked
from aiostream_server.teams.components.places import Place, components, places
from aiostream_server.teams.components.policy import class_of
from aiostream_server.teams.components.reading import Component, name_of
from aiostream_server.teams.termination_text import counted, termination_texts
from aiostream_server.text import one_line

_ENDLESS: Final = ("RoundRobinGroupChat", "SelectorGroupChat", "Swarm")
_LONGEST_DESCRIPTION: Final = 500
_KEYS: Final = ("api_key", "azure_ad_token")
_SECRET_NAMES: Final = re.compile(r"key$|token$|secret|passw|authorization|credential|connection_string", re.IGNORECASE)
_OFTEN_SECRET: Final = ("headers", "default_headers", "env")
_SECRET_IN_TEXT: Final = re.compile(
    r"\b(sk|pk|ghp|gho|xoxb|xoxp)[-_][\w-]{16,}|://[^/\s@]+:[^/\s@]+@|[?&][^=&\s]*(key|token|secret|passw)[^=&\s]*=",
    re.ASCII | re.IGNORECASE,
)


def describe(component: Component) -> Iterator[str]:
    """Lines for a terminal, about any component, also about one that cannot be loaded."""
    found = list(components(component))
    yield f"kind    {found[0].class_name}"
    yield from (f"agent   {_agent(place)}" for place in found if _is(place, "agent"))
    yield from dict.fromkeys(f"tool    {_tool(place)}" for place in found if _is(place, "tool"))
    yield from dict.fromkeys(f"model   {_model(place)}" for place in found if _is(place, "model"))
    yield f"ends    {_ends(found[0])}"


def _is(place: Place, kind: str) -> bool:
    """Whether the component is of this kind, by its `component_type`, else by the name of its class."""
    said = place.found.get("component_type")
    if place.class_name == "McpWorkbench":
        return kind == "tool"
    if isinstance(said, str) and said in ("team", "agent", "tool", "termination", "workbench", "model"):
        return said == kind
    endings = {
        "team": ("GroupChat", "GraphFlow", "Swarm"),
        "agent": ("Agent", "Surfer"),
        "tool": ("Tool", "ToolAdapter"),
        "model": ("Client", "ChatCompletionCache"),
        "termination": ("Termination", "TerminationCondition"),
    }
    return place.class_name.endswith(endings[kind])


def _agent(place: Place) -> str:
    client = place.config.get("model_client")
    outer = next((found for found in place.around if _is(found, "team") or _is(found, "agent")), None)
    facts = [place.class_name]
    if isinstance(client, Mapping):
        facts.append(f"model {_model_name(client.get('config'))}")
    if tools := list(dict.fromkeys(map(_tool_name, _tools_of(place)))):
        facts.append(f"tools {', '.join(tools)}")
    if targets := list(_handoffs(place.config.get("handoffs"))):
        facts.append(f"hands over to {', '.join(targets)}")
    if outer is not None and outer.parent is not None:
        facts.append(f"inside {name_of(outer.found) or outer.class_name}")
    return f"{name_of(place.found) or place.class_name}: {', '.join(facts)}"


def _tools_of(agent: Place) -> Iterator[Place]:
    """Its own tools, without those of agents inside it."""
    for place in components(agent.found):
        owner = next((outer for outer in place.around if _is(outer, "agent")), None)
        if _is(place, "tool") and owner is not None and owner.found is agent.found:
            yield place


def _model(place: Place) -> str:
    config = place.config
    keys = [config[key] for key in _KEYS if isinstance(config.get(key), str) and config[key]]
    key = "" if not keys else ", its key is masked" if all(map(is_masked, keys)) else ", with its own key"
    base_url = config.get("base_url") or config.get("azure_endpoint") or config.get("host")
    at = f" at {one_line(base_url)}" if base_url else ""
    return f"{_model_name(config)} ({place.class_name}{at}{key})"


def _model_name(config: object) -> str:
    model = config.get("model") if isinstance(config, Mapping) else None
    return model if isinstance(model, str) else "unnamed"


def _tool(place: Place) -> str:
    return f"{_tool_name(place)} ({place.class_name}{f' of {place.agent}' if place.agent else ''})"


def _tool_name(place: Place) -> str:
    config = place.config
    for inner in (config, config.get("tool"), _config_of(config.get("agent")), _config_of(config.get("team"))):
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if isinstance(name, str) and name:
            return name
    server = config.get("server_params")
    if isinstance(server, Mapping):
        return one_line(server.get("url") or server.get("command") or place.class_name)
    return "CodeExecutor" if place.class_name == "PythonCodeExecutionTool" else place.class_name


def _config_of(component: object) -> object:
    return component.get("config") if isinstance(component, Mapping) else None


def _handoffs(said: object) -> Iterator[str]:
    for handoff in said if isinstance(said, Sequence) and not isinstance(said, str) else ():
        target = handoff.get("target") if isinstance(handoff, Mapping) else handoff
        if isinstance(target, str):
            yield target


def _ends(team: Place) -> str:
    condition, turns = team.config.get("termination_condition"), team.config.get("max_turns")
    texts: list[str] = []
    if isinstance(condition, Mapping):
        place = Place(condition, "", "")
        texts += termination_texts(place.provider, place.config)
    if isinstance(turns, int):
        texts.append(f"after {counted(turns, 'turn')}")
    if texts:
        return ", or ".join(texts)
    return "never by itself" if team.class_name in _ENDLESS else "when its agents are done"


def own_description(component: Component) -> str:
    """The component's own description; "" if it only repeats the docstring of its class.

    Imports the class, so call `find_problems` first.
    """
    said = component.get("description")
    if not isinstance(said, str) or not said.strip():
        return ""
    text = one_line(said)
    of_class = one_line(class_of(next(components(component))).__doc__ or "")
    return "" if of_class.startswith(text) else text[:_LONGEST_DESCRIPTION]


def may_hold_secrets(component: Mapping[str, Any]) -> bool:
    """Whether it may hold keys or passwords. Errs on the side of yes: in code and prompts only the shape tells."""
    return any(_may_be_secret(key, value) for place in places(component) for key, value in place.found.items())


def _may_be_secret(key: str, value: object) -> bool:
    if isinstance(value, Mapping):
        return key in _OFTEN_SECRET and any(
            isinstance(item, str) and item and not is_masked(item) for item in value.values()
        )
    if isinstance(value, list):
        return any(isinstance(item, str) and _SECRET_IN_TEXT.search(item) for item in value)
    if not isinstance(value, str) or not value or is_masked(value):
        return False
    return bool(_SECRET_NAMES.search(key) or _SECRET_IN_TEXT.search(value))
