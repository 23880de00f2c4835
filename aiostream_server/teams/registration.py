"""`@team`: a function that makes a team, and what clients are told of it.

    @team(id="greeter", answer_from=["Greeter"])
    def greeter(context):
        return AssistantAgent("Greeter", context.model())

The function stays what it is: the decorator only leaves a note on it, which is read where the function is served
(`[[team_folders]]`, `embed.create_app`). Nothing is imported here that takes long, and nothing is checked: whoever
serves the team says what is wrong with it, and where.
"""

import inspect
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, overload

from aiostream_server.config.choices import OnDisconnect, Presentation, SpeechRole

_F = TypeVar("_F", bound=Callable[..., object])

_NOTE: Final = "__aiostream_team__"
_BETWEEN_WORDS: Final = re.compile(r"[^\w.]+|_+")


@dataclass(frozen=True, slots=True)
class Registration:
    """What `@team` was given: keys of `[[teams]]`. None: nothing, so that a default counts."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    examples: Sequence[str] = ()
    roles: Mapping[str, SpeechRole] = field(default_factory=dict)
    answer_from: Sequence[str] = ()
    presentation: Presentation = "transcript"
    on_disconnect: OnDisconnect | None = None
    model: str | None = None
    databases: Sequence[str] | None = None
    tools: Sequence[str] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@overload
def team(id: _F, /) -> _F: ...


@overload
def team(
    id: str | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    examples: Sequence[str] = (),
    roles: Mapping[str, SpeechRole] | None = None,
    answer_from: Sequence[str] = (),
    presentation: Presentation = "transcript",
    on_disconnect: OnDisconnect | None = None,
    model: str | None = None,
    databases: Sequence[str] | None = None,
    tools: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Callable[[_F], _F]: ...


def team(
    id: str | _F | None = None,  # noqa: A002 - the key's name
    *,
    roles: Mapping[str, SpeechRole] | None = None,
    settings: Mapping[str, Any] | None = None,
    **keys: Any,  # as the overloads have them
) -> _F | Callable[[_F], _F]:
    """Mark a factory as a team, with the keys that `[[teams]]` has in the configuration; also without any: `@team`.

    Without an `id` it is the function's name with dashes, or the file's for a function that is called `build`. Without
    `name` and `description` they come from the docstring: of several paragraphs the first line is the name and the
    second paragraph the description; one paragraph is the description. `model`, `databases`, `tools` and `settings`
    go before those of the `[[team_folders]]` that the function is found in.
    """
    if callable(id):
        return _noted(id, Registration())
    registration = Registration(id=id, roles=dict(roles or {}), settings=dict(settings or {}), **keys)

    def mark(function: _F) -> _F:
        return _noted(function, registration)

    return mark


def _noted(function: _F, registration: Registration) -> _F:
    setattr(function, _NOTE, registration)
    return function


def registration_of(thing: object) -> Registration | None:
    """None for whatever is not marked; a class is not marked because the one that it comes from is."""
    try:
        found = vars(thing).get(_NOTE)
    except TypeError:  # it has no attributes of its own
        return None
    return found if isinstance(found, Registration) else None


def id_of(name: str) -> str:
    """`sales_report` -> `sales-report`, `Über_uns` -> `uber-uns`. Letters of other scripts stay: no id has them."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
    return _BETWEEN_WORDS.sub("-", plain.lower()).strip("-")


def told_by(docstring: str | None) -> tuple[str, str]:
    """A name, which may be empty, and a description, each on one line."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", inspect.cleandoc(docstring or ""))]
    if len(paragraphs) == 1:
        return "", paragraphs[0]
    return paragraphs[0].removesuffix("."), paragraphs[1]
