"""Which models a caller may see and use; `GET /v1/models` and `GET /v1/models/{id}` list them.

https://platform.openai.com/docs/api-reference/models. A model that the key does not allow does not exist for the
caller. `auto` is a model as any other: a key that names it may use it.
"""

from collections.abc import Collection, Iterator
from typing import Final

from aiohttp import web

from aiostream_server.errors import Forbidden, InvalidRequest, UnknownModel
from aiostream_server.intake.principal import Principal
from aiostream_server.intake.question import Question
from aiostream_server.protocols.chat.models import ModelCard, model_body, models_body
from aiostream_server.teams.catalogue import Catalogue, TeamSpec
from aiostream_server.web.caller import caller_of
from aiostream_server.web.state import ServerState, state_of

AUTO: Final = "auto"
_AUTO_NAMES: Final = frozenset({AUTO, "autogen-agents"})
_AUTO_NAME: Final = "Auto"
_AUTO_DESCRIPTION: Final = "Sends each question to the team that suits it."
_EXAMPLES_SHOWN: Final = 4
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

    def find(self, model: str) -> TeamSpec | None:
        """The team of that id; None for `auto`, by any of its names. Raises `UnknownModel`."""
        model_id = canonical_id(model)
        spec = self._catalogue.get(model_id)
        if model_id not in self or (spec is None and model_id != AUTO):
            raise self.unknown(model)
        return spec

    def teams_for(self, question: Question, spec: TeamSpec | None) -> Collection[str] | None:
        """The teams that may answer: the named one, or those that `auto` may choose from. None: any.

        Raises `InvalidRequest` for a question with images that none of them can see, and what `routable` raises.
        """
        allowed = {spec.id} if spec is not None else self.routable()
        if not question.task.images:
            return allowed
        asked = [team for team in self._catalogue if allowed is None or team.id in allowed]
        seeing = {team.id for team in asked if team.sees_images}
        if not seeing:
            teams = "all teams" if spec is None else repr(spec.id)
            problem = f"messages: the model behind {teams} cannot see images; send text, or ask another"
            raise InvalidRequest(problem, param="messages")
        return seeing

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
        shown = model if len(model) <= _SHOWN_CHARS else f"{model[:_SHOWN_CHARS]}…"
        return UnknownModel(f"there is no model {shown!r}; there are: {ids or 'none for this key'}", param="model")


def canonical_id(model: str) -> str:
    return AUTO if model in _AUTO_NAMES else model


async def list_models(request: web.Request) -> web.Response:
    """The models that the caller's key may use."""
    return web.json_response(models_body(_offered_cards(request, _offer(request))))


async def get_model(request: web.Request) -> web.Response:
    """One of them."""
    offer, wanted = _offer(request), request.match_info["model"]
    for card in _offered_cards(request, offer):
        if card.id == canonical_id(wanted):
            return web.json_response(model_body(card))
    raise offer.unknown(wanted)


def _offer(request: web.Request) -> Offer:
    return Offer(state_of(request).catalogue, caller_of(request))


def _offered_cards(request: web.Request, offer: Offer) -> Iterator[ModelCard]:
    return (card for card in _cards(state_of(request)) if card.id in offer)


def _cards(state: ServerState) -> Iterator[ModelCard]:
    specs = tuple(state.catalogue)
    examples = tuple(example for spec in specs for example in spec.config.examples[:1])
    yield ModelCard(
        AUTO,
        _AUTO_NAME,
        _AUTO_DESCRIPTION,
        state.started_at,
        examples[:_EXAMPLES_SHOWN],
        vision=any(spec.sees_images for spec in specs),
    )
    for spec in specs:
        yield ModelCard(
            spec.id, spec.name, spec.config.description, state.started_at, spec.config.examples, spec.sees_images
        )
