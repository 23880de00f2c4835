"""A JSON file -> the component of a team, or why it has none. It reads:

* the output of `dump_component()`: a team, or a single agent;
* AutoGen Studio's team export, which is the same, and a row of its database: `{"id": 1, ..., "component": {...}}`;
* a gallery of Studio, `{"components": {"teams": [...], "agents": [...]}}`, as a file or as a row, from which one is
  chosen by its label, name or number; in galleries of Studio 0.4.0 and 0.4.1 both stand below `items`, the agents in
  `components` there; and answers of Studio's API, `{"status": true, "data": ...}`.

Reading imports nothing. A file with a duplicate key is refused, because two readers could take different values.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from aiostream_server.errors import ConfigError
from aiostream_server.unreadable import why_unreadable

Component: TypeAlias = Mapping[str, Any]
"""`{"provider": "module.Class", "config": {...}}`, and perhaps a label, a description, a type and versions."""

MAX_BYTES: Final = 8 * 1024**2
MAX_DEPTH: Final = 100
MAX_PARTS: Final = 100_000
_MAX_LISTED: Final = 20
_OLD_KEYS: Final = frozenset({"team_type", "agent_type"})
_WORKFLOW_KEYS: Final = frozenset({"sender", "receiver", "workflow_type", "skills"})
_GALLERY_KEYS: Final = frozenset({"name", "metadata"})
_NO_TEAMS: Final = {
    "model": "a model",
    "termination": "a termination condition",
    "tool": "a tool",
    "workbench": "a workbench",
}


def read_component(path: Path, choose: str | None = None) -> Component:
    """The team or agent of the file; of several, the one with the name or number `choose`, or else the only team.

    Raises `ConfigError`.
    """
    try:
        return _chosen(_read_json(path), choose)
    except _Unusable as exc:
        raise ConfigError([f"{path}: {exc}"]) from None


class _Unusable(Exception):
    """The file has no team; the text says why."""


def _read_json(path: Path) -> object:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise _Unusable(f"cannot be read: {why_unreadable(exc)}") from None
    if len(content) > MAX_BYTES:
        raise _Unusable(f"is larger than {MAX_BYTES // 1024**2} MiB: no team is")
    try:
        text = content.decode("utf-8-sig")  # editors on Windows write a byte order mark
    except UnicodeDecodeError as exc:
        raise _Unusable(f"is not UTF-8 text (byte {exc.start})") from None
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as exc:
        raise _Unusable(f"is not JSON: {exc}") from None
    _check_size(document)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        counted = Counter(key for key, _ in pairs)
        twice = counted.most_common(1)[0][0]
        raise _Unusable(f"says {_quoted(twice)} twice in the same object: only one of them can be meant")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise _Unusable(f"is not JSON: {name} is no number of JSON")


def _check_size(document: object) -> None:
    level, parts = [document], 0
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        parts += len(level)
        if parts > MAX_PARTS:
            raise _Unusable(f"holds more than {MAX_PARTS:,} values: no team does")
        if not level:
            return
    raise _too_deep()


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> _Unusable:
    return _Unusable(f"lists or objects are nested more than {MAX_DEPTH} deep")


def _chosen(document: object, choose: str | None) -> Component:
    if isinstance(document, dict) and document.get("status") is True and "data" in document:
        document = document["data"]
    candidates = [_as_component(item) for item in document] if isinstance(document, list) else _of_object(document)
    if not candidates:
        raise _Unusable("holds neither a team nor an agent")
    if choose is not None:
        return _named(choose, candidates)
    teams = [one for one in candidates if one.get("component_type") == "team"]
    if len(teams) == 1 and not isinstance(document, list):  # the agents beside it are there to be put into teams
        return teams[0]
    if len(candidates) > 1:
        how = "choose one with `teams add --choose`"
        raise _Unusable(f"holds {len(candidates)} teams and agents: {how}: {_listed(candidates)}")
    return candidates[0]


def _of_object(document: object) -> list[Component]:
    if not isinstance(document, dict):
        raise _no_component(document)
    lists = [] if "provider" in document else _lists_of_gallery(document)
    if not lists:
        return [_as_component(document)]
    if not all(isinstance(part, list) for part in lists):
        raise _Unusable('the "teams" and "agents" of a gallery are lists')
    return [_as_component(item) for part in lists for item in part]


def _lists_of_gallery(document: Mapping[str, Any]) -> list[Any]:
    """Its teams, then its agents; none where the document is no gallery."""
    gallery = document.get("config") if isinstance(document.get("config"), dict) else document
    items = gallery.get("items") if isinstance(gallery, dict) else None
    within = [place.get("components") for place in (gallery, items) if isinstance(place, dict)]
    places = [place for place in (items, *within) if isinstance(place, dict)]
    return [place[kind] for kind in ("teams", "agents") for place in places if kind in place] or [[] for _ in places]


def _as_component(item: object) -> Component:
    if isinstance(item, dict) and "provider" not in item and "component" in item:
        item = item["component"]  # a row of Studio's database
    if not isinstance(item, dict) or not isinstance(item.get("provider"), str):
        raise _no_component(item)
    if not isinstance(item.get("config"), dict):
        raise _Unusable(f'{_quoted(item["provider"])} has no "config" object')
    kind = "model" if item["provider"].endswith("ChatCompletionClient") else item.get("component_type")
    if isinstance(kind, str) and (no_team := _NO_TEAMS.get(kind)):
        raise _Unusable(f"holds {no_team}, not a team")
    return item


def _no_component(item: object) -> _Unusable:
    if isinstance(item, dict) and (old := _described(item)):
        return _Unusable(old)
    what = f"an object with the keys {_few(map(_quoted, item))}" if isinstance(item, dict) else _kind(item)
    return _Unusable(f'{what} is no component: expected {{"provider": "module.Class", "config": {{...}}}}')


def _described(item: Mapping[str, Any]) -> str:
    """What an object is that has no component, where its keys say so."""
    if not _OLD_KEYS.isdisjoint(item) or (
        isinstance(item.get("config"), dict) and not _OLD_KEYS.isdisjoint(item["config"])
    ):
        return (
            'is in the format of AutoGen Studio before January 2025 ("team_type", "agent_type"): '
            "open it in a newer Studio, or build the team anew, and export it again"
        )
    if not _WORKFLOW_KEYS.isdisjoint(item):
        return "is a workflow of AutoGen Studio for AutoGen 0.2, which has other agents: build the team anew"
    if item.keys() >= _GALLERY_KEYS:
        return 'looks like a gallery of AutoGen Studio, but has no "teams" and "agents" below "components" or "items"'
    return ""


def _named(choose: str, candidates: Sequence[Component]) -> Component:
    for of in (_label, _shown_as, name_of):
        numbers = [number for number, one in enumerate(candidates) if of(one).casefold() == choose.casefold()]
        if len(numbers) == 1:
            return candidates[numbers[0]]
        if numbers:
            said = " or ".join(str(number + 1) for number in numbers[:_MAX_LISTED])
            raise _Unusable(
                f"{len(numbers)} of its teams and agents are called {_quoted(choose)}: choose one by its number, {said}"
            )
    if choose.isascii() and choose.isdecimal() and len(choose) < 9 and 1 <= int(choose) <= len(candidates):
        return candidates[int(choose) - 1]
    raise _Unusable(f"nothing in it is called {_quoted(choose)}: there is {_listed(candidates)}")


def _label(component: Component) -> str:
    label = component.get("label")
    return label if isinstance(label, str) else ""


def name_of(component: Component) -> str:
    """The name in its configuration, or ""."""
    name = component["config"].get("name") if isinstance(component.get("config"), Mapping) else None
    return name if isinstance(name, str) else ""


def title_of(component: Component) -> str:
    """Its label or its name, unless that is the name of its class; else ""."""
    class_name = str(component.get("provider")).rpartition(".")[2]
    return next((text for text in (_label(component), name_of(component)) if text and text != class_name), "")


def _shown_as(component: Component) -> str:
    return title_of(component) or name_of(component) or str(component.get("provider")).rpartition(".")[2]


def _listed(candidates: Sequence[Component]) -> str:
    """The names to choose from; a name that several have comes with a number."""
    titles = [_shown_as(item) for item in candidates]
    counted = Counter(title.casefold() for title in titles)
    return _few(
        _quoted(title) if counted[title.casefold()] == 1 else f"{number} ({_quoted(title)})"
        for number, title in enumerate(titles, start=1)
    )


def _few(texts: Iterable[str]) -> str:
    every = list(texts)
    more = f" and {len(every) - _MAX_LISTED} more" if len(every) > _MAX_LISTED else ""
    return (", ".join(every[:_MAX_LISTED]) or "nothing") + more


def _quoted(text: str) -> str:
    """A text from the file, short and on one line."""
    return json.dumps(text if len(text) <= 80 else f"{text[:80]}...", ensure_ascii=not text.isprintable())


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")
