"""AutoGen's termination conditions in words, for `teams show` and `teams add`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aiostream_server.text import one_line

_WITHOUT_SETTINGS: Final = {
    "StopMessageTermination": "at a stop message",
    "ExternalTermination": "when it is told to from outside",
    "FunctionalTermination": "when a function says so",
}


def termination_texts(provider: str, config: Mapping[str, Any]) -> Iterator[str]:
    """The conditions of a component, each of which ends a run. Unknown classes and settings yield the class's name."""
    kind = provider.rpartition(".")[2]
    try:
        texts = list(_texts(kind, config))
    except (KeyError, TypeError, ValueError, AttributeError):  # a file may hold anything
        texts = [kind]
    yield from texts


def _texts(kind: str, config: Mapping[str, Any]) -> Iterator[str]:
    if kind == "OrTerminationCondition":
        for each in config["conditions"]:
            yield from termination_texts(each["provider"], each["config"])
    elif kind == "AndTerminationCondition":
        inner = (termination_texts(each["provider"], each["config"]) for each in config["conditions"])
        yield " and ".join(map(" or ".join, inner))
    else:
        yield _text(kind, config)


def _text(kind: str, config: Mapping[str, Any]) -> str:
    match kind:
        case "MaxMessageTermination":
            return f"after {counted(config['max_messages'], 'message')}, the question included"
        case "TextMentionTermination":
            return f'when "{one_line(config["text"])}" is said'
        case "HandoffTermination":
            return f"at a handoff to {one_line(config['target'])}"
        case "TextMessageTermination":
            return f"when {one_line(config.get('source') or 'any agent')} has answered"
        case "SourceMatchTermination":
            return f"when {one_line(' or '.join(config['sources']))} has spoken"
        case "TimeoutTermination":
            return f"after {config['timeout_seconds']:g} s"
        case "TokenUsageTermination":
            limits = {name.split("_")[1]: config.get(name) for name in config if config.get(name)}
            return "after " + " or ".join(f"{limit} {of} tokens" for of, limit in limits.items())
        case "FunctionCallTermination":
            return f"when the tool {one_line(config['function_name'])} has run"
    return _WITHOUT_SETTINGS.get(kind, kind)


def counted(number: int, what: str) -> str:
    """`1 turn`, `2 turns`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
