"""Decides what a component file may name, before any of it is imported.

AutoGen imports the class of any `provider`, at any place in the file, and calls it with the settings beside it. So the
policy checks every object of the file, whether AutoGen would take it for a component or not:

* each `provider` belongs to AutoGen's packages, to this one, or to `[components] providers` (an allow-list);
* classes that run code, start programs, read files or use this machine's credentials need `trusted = true`;
* templates that AutoGen fills in have plain fields only: others could ask for any amount of memory;
* an HTTP tool asks no host of this machine or its network, unless `[components] hosts` lists it (`http_guard`);
* names in JSON schemas are plain: AutoGen lets pydantic evaluate them as Python expressions.

Each refusal is one line: which agent, where, why, and how to allow it.
"""

import importlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain, islice
from string import Formatter
from typing import Any, Final

from aiostream_server.config.problem_text import mcp_version_problem
from aiostream_server.models.openai.component import own_class
from aiostream_server.teams.components.classes import (
    AUTOGEN,
    KNOWN,
    OUR_CLIENTS,
    RUNS_CODE,
    effect_of,
    effect_of_base,
    is_autogens,
    is_in_source,
    missing_package,
)
from aiostream_server.teams.components.hosts import HOW_TO_LIST, local_host_problem
from aiostream_server.teams.components.places import Place, components, places
from aiostream_server.teams.components.reading import Component
from aiostream_server.text import one_line

_OURS: Final = "aiostream_server"
_DOTTED: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
_DEFINITIONS: Final = ("$defs", "definitions")
_MOST_SHOWN: Final = 100
_MOST_PROBLEMS: Final = 20
_TEMPLATE_KEYS: Final = ("selector_prompt", "final_answer_prompt", "tool_call_summary_format", "format_string")
_MOST_FIELDS: Final = 100
_FORMATTER: Final = Formatter()
_HARMLESS_FORMAT: Final = re.compile(r"(?!.*\d{3})[^{}]{0,16}", re.DOTALL)
_PLAIN_FIELDS: Final = "takes trust: plain names in braces, {result}, take none"
_HOW_TO_TRUST: Final = (
    "if you have read the file and trust it, set trusted = true in its [[teams]] table (`teams add --trust`)"
)


def find_problems(
    component: Component, *, providers: Sequence[str] = (), trusted: bool = False, hosts: Sequence[str] = ()
) -> list[str]:
    """Why the component must not be loaded: at most 20 reasons, none if it may be. Imports nothing."""
    found = list(places(component))
    problems = (problem for place in found for problem in _problems_at(place, providers, trusted))
    local = () if trusted else (problem for place in found for problem in _local_hosts(place, hosts))
    return list(islice(chain(problems, local), _MOST_PROBLEMS))


def find_code(component: Component) -> list[Place]:
    """The parts that need `trusted = true`."""
    return [place for place in components(component) if effect_of(place.provider, place.config)]


def import_classes(component: Component, *, trusted: bool = False) -> list[str]:
    """Import its classes; say which cannot be imported, or run code under another name. Call `find_problems` first."""
    found: dict[str, str] = {}
    for place in components(component):
        if place.provider in found or own_class({**place.found, "provider": place.provider}):
            continue  # our client replaces OpenAI's and Azure's, which need the package `openai`
        if problem := _import(place, trusted):
            found[place.provider] = problem
    return list(found.values())


def class_of(place: Place) -> Any:  # of any type
    """Raises any exception that importing the module raises."""
    module, _, name = place.provider.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _problems_at(place: Place, providers: Sequence[str], trusted: bool) -> Iterator[str]:
    if "provider" in place.found:
        yield from _problems_of_provider(place, providers, trusted)
    for key, template in _templates(place.found):
        if fault := _template_fault(template, trusted=trusted):
            yield f"{place.where}: {key} {_printable(fault)}"
    for key, value in place.found.items():
        if key.startswith("__"):
            yield f"{place.where}: the key {_shown(key)} is Python's own: no component has such a key"
        if key in _DEFINITIONS and isinstance(value, dict):
            yield from (_evaluated(place, name) for name in value if not _PLAIN.fullmatch(name))
        if key == "$ref" and isinstance(value, str) and not _PLAIN.fullmatch(value.rpartition("/")[2]):
            yield _evaluated(place, value)


def _local_hosts(place: Place, hosts: Sequence[str]) -> Iterator[str]:
    """An HTTP tool of another package has AutoGen's settings, too: they are recognised by their keys."""
    host = place.config.get("host")
    if isinstance(host, str) and "json_schema" in place.config and (problem := local_host_problem(host, hosts)):
        yield f"{place.where}: {_shown(place.provider)} {_printable(problem)}; {HOW_TO_LIST}"


def _templates(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The texts that autogen 0.7.5 fills in with `str.format`, with their keys."""
    is_http_tool = "json_schema" in found
    keys = (*_TEMPLATE_KEYS, "path") if is_http_tool else _TEMPLATE_KEYS
    return ((key, found[key]) for key in keys if isinstance(found.get(key), str))


def _template_fault(template: str, *, trusted: bool = False) -> str | None:
    """What is wrong with a template, as the rest of a sentence that its key begins; None if it may be used.

    A width makes any amount of text of a word, and a dot or an index reaches into the value that is filled in.
    """
    try:
        fields = [(name, form or "", how) for _, name, form, how in _FORMATTER.parse(template) if name is not None]
    except ValueError as exc:
        return f'is no template: {exc}; a brace that is meant is written twice, "{{{{"'
    for name, _, how in fields:
        if not name or name.isdecimal():
            return "has a field without a name: AutoGen fills in names only; a brace that is meant is written twice"
        if how not in (None, "r", "s", "a"):
            return f"converts a field by !{how}, which there is not"
    return None if trusted else _template_risk(fields)


def _template_risk(fields: list[tuple[str, str, str | None]]) -> str | None:
    if len(fields) > _MOST_FIELDS:
        return f"has more than {_MOST_FIELDS} fields"
    for name, form, _ in fields:
        if "." in name or "[" in name:
            return f"reaches into what is filled in, {{{name[:40]}}}, which {_PLAIN_FIELDS}"
        if not _HARMLESS_FORMAT.fullmatch(form):
            return f"formats {{{name[:40]}}} by :{form[:40]}, which {_PLAIN_FIELDS}"
    return None


def _evaluated(place: Place, name: str) -> str:
    return (
        f"{place.where}: {_shown(name)} is no plain name for a definition of a JSON schema: AutoGen would evaluate it "
        'as Python; rename it to letters, digits, "_" and "-"'
    )


def _problems_of_provider(place: Place, providers: Sequence[str], trusted: bool) -> Iterator[str]:
    provider = place.provider
    if isinstance(
        place.found["provider"], dict
    ):  # a property `provider` of a JSON schema; checked as an object of its own
        return
    if not provider:
        yield f"{place.where}: a provider is a text: module.Class"
    elif not _is_name(provider):
        yield f"{place.where}: the provider {_shown(provider)} is no name of a class: module.Class"
    elif not _is_allowed(provider, providers):
        yield f"{place.where}: the provider {_shown(provider)} is not allowed: {_how_to_allow(provider)}"
    elif provider.startswith(f"{_OURS}.") and provider not in OUR_CLIENTS:
        yield f"{place.where}: {_shown(provider)} is no component of a team"
    elif not trusted and (effect := effect_of(provider, place.config)):
        if is_autogens(provider) and place.class_name not in KNOWN and not is_in_source(provider):
            yield f"{place.where}: there is no such class in AutoGen: {_shown(provider)}{_nearest(place.class_name)}"
        else:
            yield f"{place.where}: {_shown(provider)} {effect}; {_HOW_TO_TRUST}"


def _how_to_allow(provider: str) -> str:
    package = provider.partition(".")[0]
    if package in sys.stdlib_module_names:
        return "it is of Python's own library, which no team is made of"
    return (
        f"it is of the package {_shown(package)}; if you trust that package, "
        f'add providers = ["{package[:_MOST_SHOWN]}"] to [components]'
    )


def _nearest(name: str) -> str:
    near = get_close_matches(name, sorted(KNOWN), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _is_name(provider: str) -> bool:
    return bool(_DOTTED.fullmatch(provider)) and not any(part.startswith("__") for part in provider.split("."))


def _is_allowed(provider: str, providers: Sequence[str]) -> bool:
    packages = (*AUTOGEN, _OURS, *providers)
    return any(provider == package or provider.startswith(f"{package}.") for package in packages if package)


def _import(place: Place, trusted: bool) -> str | None:
    try:
        found = class_of(place)
    except ImportError as exc:
        why = missing_package(exc) if isinstance(exc, ModuleNotFoundError) and exc.name else one_line(exc, 300)
        if ".mcp" in place.provider and (problem := mcp_version_problem()) is not None:
            why = problem
        return f"{place.where}: {_shown(place.provider)} cannot be imported: {why}"
    except AttributeError:
        return f"{place.where}: there is no {_shown(place.provider)} in the version that is installed"
    except Exception as exc:  # importing runs the module's code
        said = one_line(exc, 300)
        return f"{place.where}: {_shown(place.provider)} cannot be imported: {type(exc).__name__}: {said}"
    if not isinstance(found, type):
        return f"{place.where}: {_shown(place.provider)} is no class"
    if not trusted and any(map(_is_known_to_run_code, found.__mro__)):
        return f"{place.where}: {_shown(place.provider)} runs code; {_HOW_TO_TRUST}"
    if not trusted and not is_autogens(place.provider):
        effects = (effect_of_base(base, place.config) for base in found.__mro__)
        if effect := next(filter(None, effects), None):
            return f"{place.where}: {_shown(place.provider)} {effect}; {_HOW_TO_TRUST}"
    return None


def _is_known_to_run_code(base: type) -> bool:
    return base.__name__ in RUNS_CODE and is_autogens(base.__module__)


def _shown(text: str) -> str:
    """Short and on one line."""
    return _printable(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...")


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
