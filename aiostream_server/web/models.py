"""The lists of models and teams: `GET /v1/models`, `GET /v1/models/{id}` and `GET /v1/teams`.

https://platform.openai.com/docs/api-reference/models
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from aiohttp import web

from aiostream_server.config.model import Presentation
from aiostream_server.protocols.chat.models import ModelCard, model_body, models_body
from aiostream_server.protocols.runs.teams import TeamCard, teams_body
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.web.caller import caller_of
from aiostream_server.web.offer import AUTO, Offer
from aiostream_server.web.state import ServerState, state_of
from aiostream_server.web.whole import json_bytes

_AUTO_NAME: Final = "Auto"
_AUTO_DESCRIPTION: Final = "Sends each question to the team that suits it."
_VARIANT_NAMES: Final[Mapping[Presentation, str]] = {
    "transcript": "step by step",
    "reasoning": "work folded away",
    "answer": "answer only",
}
_EXAMPLES_SHOWN: Final = 4


async def list_models(request: web.Request) -> web.Response:
    """The models that the caller's key may use, and below them the configured variants."""
    cards = [card for card in cards_of(state_of(request)) if card.id in _offer(request)]
    return web.json_response(models_body([*cards, *_variants(state_of(request), cards)]))


async def get_model(request: web.Request) -> web.Response:
    """One of them; with a presentation in its id where it is asked for with one."""
    wanted = request.match_info["model"]
    found = _offer(request).find(wanted)
    card = next(card for card in cards_of(state_of(request)) if card.id == found.id)
    if found.presentation is not None:
        card = replace(_variant(card, found.presentation), id=wanted)
    return web.json_response(model_body(card))


async def list_teams(request: web.Request) -> web.Response:
    """The teams that the caller's key may use, in the order of the configuration, and what each is made of."""
    catalogue = state_of(request).catalogue
    offer = _offer(request)
    offered = [spec for spec in catalogue if spec.id in offer]
    shapes = await catalogue.shapes()
    cards = (
        TeamCard(spec.id, spec.name, spec.config.description, spec.config.examples, shapes[spec.id]) for spec in offered
    )
    return json_bytes(teams_body(cards))


def _offer(request: web.Request) -> Offer:
    return Offer(state_of(request).catalogue, caller_of(request))


def _variants(state: ServerState, cards: Iterable[ModelCard]) -> Iterator[ModelCard]:
    """A team has none in its own presentation, and `auto` none in one that all teams have."""
    own = {spec.id: spec.config.presentation for spec in state.catalogue}
    for card in cards:
        usual = {own[card.id]} if card.id in own else {*own.values()}
        for presentation in dict.fromkeys(state.config.open_webui.variants):
            variant = _variant(card, presentation)
            if usual != {presentation} and variant.id not in own:
                yield variant


def _variant(card: ModelCard, presentation: Presentation) -> ModelCard:
    return replace(card, id=f"{card.id}:{presentation}", name=f"{card.name} ({_VARIANT_NAMES[presentation]})")


def examples_of(specs: Iterable[TeamSpec]) -> tuple[str, ...]:
    """The examples of a router to these teams: the first one of each, without repeats."""
    first = dict.fromkeys(example for spec in specs for example in spec.config.examples[:1])
    return tuple(first)[:_EXAMPLES_SHOWN]


def cards_of(state: ServerState) -> Iterator[ModelCard]:
    """The cards of all models, `auto` first."""
    specs = tuple(state.catalogue)
    yield ModelCard(
        AUTO,
        _AUTO_NAME,
        _AUTO_DESCRIPTION,
        state.started_at,
        examples_of(specs),
        vision=any(spec.sees_images for spec in specs),
    )
    for spec in specs:
        yield ModelCard(
            spec.id, spec.name, spec.config.description, state.started_at, spec.config.examples, spec.sees_images
        )
