"""`GET /v1/models` and `GET /v1/models/{id}`: https://platform.openai.com/docs/api-reference/models"""

from collections.abc import Iterator
from typing import Final

from aiohttp import web

from aiostream_server.web.caller import caller_of
from aiostream_server.web.offer import AUTO, Offer, canonical_id
from aiostream_server.web.state import ServerState, state_of
from aiostream_server.wire.model_list import ModelCard, model_body, models_body

_AUTO_NAME: Final = "Auto"
_AUTO_DESCRIPTION: Final = "Sends each question to the team that suits it."
_EXAMPLES_SHOWN: Final = 4


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
