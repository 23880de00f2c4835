"""`@team`: marks a function that makes a team, with what clients see of the team.

    @team(id="greeter", answer_from=["Greeter"])
    def greeter(context):
        return AssistantAgent("Greeter", context.model())

The decorator returns the function itself, with an attribute that `[[team_folders]]` and `embed.create_app` read. It
checks no values: serving the team reports wrong ones, with the place. This module imports nothing that loads slowly.
"""

import inspect
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, TypeVar, Unpack, overload

from aiostream_server.config.choices import OnDisconnect, Presentation, Restart, SpeechRole

_F = TypeVar("_F", bound=Callable[..., object])

_ATTRIBUTE: Final = "__aiostream_team__"
_BETWEEN_WORDS: Final = re.compile(r"[^\w.]+|_+")


class TeamKeys(TypedDict, total=False):
    """Keys of `[[teams]]`; None counts as the default."""

    name: str | None
    description: str | None
    examples: Sequence[str]
    roles: Mapping[str, SpeechRole] | None
    answer_from: Sequence[str]
    presentation: Presentation
    on_disconnect: OnDisconnect | None
    restart: Restart
    model: str | None
    databases: Sequence[str] | None
    tools: Sequence[str] | None
    settings: Mapping[str, Any] | None
    client_tools: bool
    output_tools: bool


@dataclass(frozen=True, slots=True)
class Registration:
    """The arguments of `@team`. `keys` has those that are not None."""

    id: str | None = None
    keys: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@overload
def team(id: _F, /) -> _F: ...


@overload
def team(id: str | None = None, **keys: Unpack[TeamKeys]) -> Callable[[_F], _F]: ...


def team(id: str | _F | None = None, **keys: Unpack[TeamKeys]) -> _F | Callable[[_F], _F]:  # noqa: A002 - the key's name
    """Mark a factory as a team, with the keys that `[[teams]]` has in the configuration; also without any: `@team`.

    The default `id` is the function's name with dashes, or the file's name if the function is called `build`. The
    defaults of `name` and `description` come from the docstring: of several paragraphs, the first is the name and the
    second the description; a single paragraph is the description. `model`, `databases`, `tools` and `settings` take
    precedence over those of the function's `[[team_folders]]` table.
    """
    if callable(id):
        return team()(id)
    if unknown := keys.keys() - TeamKeys.__annotations__.keys():
        raise TypeError(f"team() got an unexpected keyword argument {min(unknown)!r}")
    settings = dict(keys.pop("settings", None) or {})
    registration = Registration(id, {key: value for key, value in keys.items() if value is not None}, settings)

    def mark(function: _F) -> _F:
        setattr(function, _ATTRIBUTE, registration)
        return function

    return mark


def registration_of(thing: object) -> Registration | None:
    """None for anything without a mark of its own; a class does not inherit the mark of its base."""
    try:
        found = vars(thing).get(_ATTRIBUTE)
    except TypeError:  # it has no `__dict__`
        return None
    return found if isinstance(found, Registration) else None


def team_id_of(name: str) -> str:
    """`sales_report` -> `sales-report`, `Über_uns` -> `uber-uns`. Other scripts stay; no id may have them."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
    return _BETWEEN_WORDS.sub("-", plain.lower()).strip("-")


def name_and_description(docstring: str | None) -> tuple[str, str]:
    """Both on one line; the name is "" if the docstring has only one paragraph."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", inspect.cleandoc(docstring or ""))]
    if len(paragraphs) == 1:
        return "", paragraphs[0]
    return paragraphs[0].removesuffix("."), paragraphs[1]
