"""Describes a component without importing it: agents, models, tools, when the team ends, and whether it has secrets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiostream_server.models.openai.component import is_masked
from aiostream_server.teams.components.classes import effect_of
from aiostream_server.teams.components.places import Place, components, places
from aiostream_server.teams.components.policy import class_of
from aiostream_server.teams.components.reading import Component, name_of, title_of
from aiostream_server.teams.termination_text import counted, termination_texts

_ENDLESS: Final = ("RoundRobinGroupChat", "SelectorGroupChat", "Swarm")
_LONGEST_DESCRIPTION: Final = 500
_KEYS: Final = ("api_key", "azure_ad_token")
_SECRET_NAMES: Final = re.compile(r"key$|token$|secret|passw|authorization|credential|connection_string", re.IGNORECASE)
_OFTEN_SECRET: Final = ("headers", "default_headers", "env")
_SECRET_IN_TEXT: Final = re.compile(
    r"\b(sk|pk|ghp|gho|xoxb|xoxp)[-_][\w-]{16,}|://[^/\s@]+:[^/\s@]+@|[?&][^=&\s]*(key|token|secret|passw)[^=&\s]*=",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FoundAgent:
    """`team` is the nested team or agent that it belongs to; "" in the outermost team."""

    name: str
    kind: str
    model: str
    tools: tuple[str, ...]
    handoffs: tuple[str, ...]
    team: str


@dataclass(frozen=True, slots=True)
class FoundModel:
    """`key` is "own" if it is in the file, "masked" if the file has asterisks, else "none". `base_url` may be ""."""

    model: str
    kind: str
    base_url: str
    key: str


@dataclass(frozen=True, slots=True)
class FoundTool:
    """`effect` says why it needs `trusted = true`; "" if it does not."""

    name: str
    kind: str
    agent: str
    effect: str


@dataclass(frozen=True, slots=True)
class Description:
    """`teams` are nested teams, `ends` says when the team ends, and `code` lists what needs `trusted = true`."""

    kind: str
    title: str
    agents: tuple[FoundAgent, ...]
    tools: tuple[FoundTool, ...]
    models: tuple[FoundModel, ...]
    teams: tuple[str, ...]
    ends: str
    code: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The description as lines for a terminal."""
        yield f"kind    {self.kind}"
        for agent in self.agents:
            yield f"agent   {_agent_line(agent)}"
        for tool in self.tools:
            yield f"tool    {tool.name} ({tool.kind}{f' of {tool.agent}' if tool.agent else ''})"
        for model in self.models:
            place = f" at {model.base_url}" if model.base_url else ""
            yield f"model   {model.model} ({model.kind}{place}{_KEY_WORDS[model.key]})"
        yield f"ends    {self.ends}"


_KEY_WORDS: Final = {"own": ", with its own key", "masked": ", its key is masked", "none": ""}


def describe(component: Component) -> Description:
    """Works for any component, also for one that cannot be loaded."""
    found = list(components(component))
    agents = tuple(_agent(place) for place in found if _is(place, "agent"))
    models = dict.fromkeys(_model(place) for place in found if _is(place, "model"))
    tools = dict.fromkeys(_tool(place) for place in found if _is(place, "tool"))
    teams = tuple(name_of(place.found) or place.class_name for place in found[1:] if _is(place, "team"))
    code = (f"{place.where}: {place.class_name} {effect}" for place in found if (effect := _effect(place)))
    root = found[0]
    return Description(
        root.class_name, title_of(component), agents, tuple(tools), tuple(models), teams, _ends(root), tuple(code)
    )


def _effect(place: Place) -> str:
    return effect_of(place.provider, place.config) or ""


def _is(place: Place, kind: str) -> bool:
    """By its `component_type`, else by the name of its class."""
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


def _agent(place: Place) -> FoundAgent:
    outer = next((found for found in place.around if _is(found, "team") or _is(found, "agent")), None)
    return FoundAgent(
        name_of(place.found) or place.class_name,
        place.class_name,
        _model_of(place),
        tuple(dict.fromkeys(_tool(tool).name for tool in _tools_of(place))),
        tuple(_handoffs(place.config.get("handoffs"))),
        "" if outer is None or outer.parent is None else name_of(outer.found) or outer.class_name,
    )


def _tools_of(agent: Place) -> Iterator[Place]:
    """Its own tools, without those of agents inside it."""
    for place in components(agent.found):
        owner = next((outer for outer in place.around if _is(outer, "agent")), None)
        if _is(place, "tool") and owner is not None and owner.found is agent.found:
            yield place


def _model_of(agent: Place) -> str:
    client = agent.config.get("model_client")
    return _model(Place(client, "", "")).model if isinstance(client, Mapping) else ""


def _model(place: Place) -> FoundModel:
    config = place.config
    keys = [config[key] for key in _KEYS if isinstance(config.get(key), str) and config[key]]
    key = "none" if not keys else "masked" if all(map(is_masked, keys)) else "own"
    base_url = config.get("base_url") or config.get("azure_endpoint") or config.get("host") or ""
    model = config.get("model")
    return FoundModel(model if isinstance(model, str) else "unnamed", place.class_name, _plain(base_url), key)


def _tool(place: Place) -> FoundTool:
    return FoundTool(_tool_name(place), place.class_name, place.agent, _effect(place))


def _tool_name(place: Place) -> str:
    config = place.config
    for inner in (config, config.get("tool"), _config_of(config.get("agent")), _config_of(config.get("team"))):
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if isinstance(name, str) and name:
            return name
    server = config.get("server_params")
    if isinstance(server, Mapping):
        return _plain(server.get("url") or server.get("command") or place.class_name)
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


def _agent_line(agent: FoundAgent) -> str:
    facts = [agent.kind]
    if agent.model:
        facts.append(f"model {agent.model}")
    if agent.tools:
        facts.append(f"tools {', '.join(agent.tools)}")
    if agent.handoffs:
        facts.append(f"hands over to {', '.join(agent.handoffs)}")
    if agent.team:
        facts.append(f"inside {agent.team}")
    return f"{agent.name}: {', '.join(facts)}"


def _plain(value: object) -> str:
    return " ".join(str(value).split())


def own_description(component: Component) -> str:
    """The component's own description; "" if it only repeats the docstring of its class.

    Imports the class, so call `find_problems` first.
    """
    said = component.get("description")
    if not isinstance(said, str) or not said.strip():
        return ""
    text = _plain(said)
    of_class = _plain(class_of(next(components(component))).__doc__ or "")
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
