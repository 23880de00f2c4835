"""`GET /v1/models` and `GET /v1/models/{id}`: https://platform.openai.com/docs/api-reference/models"""

from collections.abc import Iterator
from typing import Final

from aiohttp import web

from aiostream_server.errors import UnknownModel
from aiostream_server.web.caller import caller_of
from aiostream_server.web.state import AUTO, AUTO_ALIASES, STATE, ServerState
from aiostream_server.wire.model_list import ModelCard, model_body, models_body

_AUTO_NAME: Final = "Auto"
_AUTO_DESCRIPTION: Final = "Sends each question to the team that suits it."
_EXAMPLES_SHOWN: Final = 4


async def list_models(request: web.Request) -> web.Response:
    """The models that the caller's key may use."""
    principal, state = caller_of(request), request.app[STATE]
    return web.json_response(models_body(card for card in _cards(state) if principal.may_use(card.id)))


async def get_model(request: web.Request) -> web.Response:
    principal, state = caller_of(request), request.app[STATE]
    wanted = request.match_info["model"]
    wanted = AUTO if wanted in AUTO_ALIASES else wanted
    for card in _cards(state):
        if card.id == wanted and principal.may_use(card.id):
            return web.json_response(model_body(card))
    raise UnknownModel(f"there is no model {wanted!r}; GET /v1/models lists those there are", param="model")


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
