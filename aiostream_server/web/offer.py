"""Which models a caller may see and use. One that its key does not allow does not exist for it.

`auto` is a model as any other: a key that names it may use it.
"""

from collections.abc import Collection
from typing import Final

from aiostream_server.errors import Forbidden, InvalidRequest, UnknownModel
from aiostream_server.intake.principal import Principal
from aiostream_server.intake.question import Question
from aiostream_server.teams.catalogue import Catalogue, TeamSpec

AUTO: Final = "auto"
_AUTO_NAMES: Final = frozenset({AUTO, "autogen-agents"})
_SHOWN_CHARS: Final = 80


class Offer:
    """What one caller is offered of a catalogue."""

    def __init__(self, catalogue: Catalogue, principal: Principal) -> None:
        allowed = principal.allowed_models
        self._catalogue = catalogue
        self._allowed = None if allowed is None else {canonical_id(model) for model in allowed}

    def __contains__(self, model_id: str) -> bool:
        """Whether the caller may use the model of that canonical id; whether there is one is not asked."""
        return self._allowed is None or model_id in self._allowed

    def find(self, model: str) -> TeamSpec | None:
        """The team of that id; None for `auto`, by any of its names. Raises `UnknownModel`."""
        model_id = canonical_id(model)
        spec = self._catalogue.get(model_id)
        if model_id not in self or (spec is None and model_id != AUTO):
            raise self.unknown(model)
        return spec

    def teams_for(self, question: Question, spec: TeamSpec | None) -> Collection[str] | None:
        """The teams that may answer: the named one, or those that `auto` may choose from. None: any.

        Raises `InvalidRequest` for a question with images that none of them sees, and as `routable` does.
        """
        allowed = {spec.id} if spec is not None else self.routable()
        if not question.task.images:
            return allowed
        asked = [team for team in self._catalogue if allowed is None or team.id in allowed]
        seeing = {team.id for team in asked if team.sees_images}
        if not seeing:
            whose = "all teams" if spec is None else repr(spec.id)
            problem = f"messages: the model behind {whose} cannot see images; send text, or ask another"
            raise InvalidRequest(problem, param="messages")
        return seeing

    def routable(self) -> Collection[str] | None:
        """The teams that `auto` may choose: those that the key names, or any (None) where it names `auto` alone.

        Raises `Forbidden` where none of those it names is served.
        """
        named = (self._allowed or set()) - {AUTO}
        if named and not any(spec.id in named for spec in self._catalogue):
            raise Forbidden("this key may not use any of the teams that 'auto' chooses from")
        return named or None

    def unknown(self, model: str) -> UnknownModel:
        """The error that lists what there is, for this caller."""
        ids = ", ".join(model_id for model_id in (AUTO, *(spec.id for spec in self._catalogue)) if model_id in self)
        shown = model if len(model) <= _SHOWN_CHARS else f"{model[:_SHOWN_CHARS]}…"
        return UnknownModel(f"there is no model {shown!r}; there are: {ids or 'none for this key'}", param="model")


def canonical_id(model: str) -> str:
    return AUTO if model in _AUTO_NAMES else model
