"""What a caller is offered: the models and teams that its key may use.

A model that the key does not allow does not exist for the caller. `auto` is a model as any other: a key that names it
may use it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final, get_args

from aiostream_server.config.model import Presentation
from aiostream_server.errors import Forbidden, InvalidRequest, UnknownModel
from aiostream_server.intake.principal import Principal
from aiostream_server.intake.question import Question
from aiostream_server.teams.catalogue import Catalogue, TeamSpec

AUTO: Final = "auto"
_AUTO_NAMES: Final = frozenset({AUTO, "autogen-agents"})
PRESENTATIONS: Final[tuple[Presentation, ...]] = get_args(Presentation)
_PRESENTED: Final = ", ".join(PRESENTATIONS)
_SHOWN_CHARS: Final = 80


class Offer:
    """What one caller is offered of a catalogue."""

    def __init__(self, catalogue: Catalogue, principal: Principal) -> None:
        allowed = principal.allowed_models
        self._catalogue = catalogue
        self._allowed = None if allowed is None else {canonical_id(model) for model in allowed}

    def __contains__(self, model_id: str) -> bool:
        """Whether the caller may use the model of this canonical id, if there is one."""
        return self._allowed is None or model_id in self._allowed

    def find(self, model: str) -> "NamedModel":
        """The model of that id, perhaps with a presentation behind a colon. Raises `UnknownModel`."""
        if (found := self._find(model)) is not None:
            return found
        name, colon, suffix = model.rpartition(":")
        found = self._find(name) if colon else None
        if found is None:
            raise self.unknown(model)
        for presentation in PRESENTATIONS:
            if suffix == presentation:
                return replace(found, presentation=presentation)
        problem = f"there is no presentation {shown(suffix)!r} of the model {found.id!r}; there are: {_PRESENTED}"
        raise UnknownModel(problem, param="model")

    def _find(self, model: str) -> "NamedModel | None":
        model_id = canonical_id(model)
        spec = self._catalogue.get(model_id)
        is_offered = model_id in self and (spec is not None or model_id == AUTO)
        return NamedModel(model_id, spec) if is_offered else None

    def teams_for(self, question: Question, spec: TeamSpec | None) -> Collection[str] | None:
        """The teams that may answer: the named one, or those that `auto` may choose from. None: any.

        Raises `InvalidRequest` for images that none of them can see, and for a forced call that none of them makes; and
        what `routable` raises.
        """
        allowed = (spec.id,) if spec is not None else self.routable()
        if question.tool_choice.is_forced:
            allowed = self._calling(allowed, spec)
        return self._seeing(allowed, spec) if question.task.images else allowed

    def _calling(self, allowed: Collection[str] | None, spec: TeamSpec | None) -> Collection[str]:
        """The teams that call a tool of the client where the request forces it."""
        calling = [team.id for team in self._catalogue if team.config.takes_forced_calls]
        if found := {team for team in calling if allowed is None or team in allowed}:
            return found
        teams = "no team calls tools" if spec is None else f"{spec.id!r} calls no tools"
        others = ", ".join(team for team in calling if team in self)
        ask = f", or ask a team that does: {others}" if others else ""
        way = "for JSON ask with `response_format` (in Responses `text.format`)"
        raise InvalidRequest(
            f"tool_choice: {teams} of a client, so none can be forced; {way}{ask}", param="tool_choice"
        )

    def _seeing(self, allowed: Collection[str] | None, spec: TeamSpec | None) -> Collection[str]:
        """The teams that see images."""
        seeing = {team.id for team in self._catalogue if team.sees_images and (allowed is None or team.id in allowed)}
        if not seeing:
            teams = "all teams" if spec is None else repr(spec.id)
            problem = f"messages: the model behind {teams} cannot see images; send text, or ask another"
            raise InvalidRequest(problem, param="messages")
        return seeing

    def routed_specs(self) -> Iterator[TeamSpec]:
        """The teams of `routable`."""
        names = self.routable()
        return (spec for spec in self._catalogue if names is None or spec.id in names)

    def routable(self) -> Collection[str] | None:
        """The teams that `auto` may choose: those that the key names, or any (None) where it names only `auto`.

        Raises `Forbidden` where the key names teams and none of them is served.
        """
        named = (self._allowed or set()) - {AUTO}
        if named and not any(spec.id in named for spec in self._catalogue):
            raise Forbidden("this key may not use any of the teams that 'auto' chooses from")
        return named or None

    def unknown(self, model: str) -> UnknownModel:
        """The error, which lists the models of this caller."""
        ids = ", ".join(model_id for model_id in (AUTO, *(spec.id for spec in self._catalogue)) if model_id in self)
        return UnknownModel(
            f"there is no model {shown(model)!r}; there are: {ids or 'none for this key'}", param="model"
        )


@dataclass(frozen=True, slots=True)
class NamedModel:
    """The model that a request names: its `spec` is None for `auto`. `presentation` is that of `auto:answer`."""

    id: str
    spec: TeamSpec | None
    presentation: Presentation | None = None


def shown(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…"


def canonical_id(model: str) -> str:
    return AUTO if model in _AUTO_NAMES else model
