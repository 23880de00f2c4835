"""Agent cards: the server's at `/.well-known/agent-card.json`, with a skill for each team, and one for each model.

Where keys exist, a caller without one is given a card that tells how to call and names no team: it is the same for a
model that exists and for one that does not. With a key the card shows what the key may use, as the extended card does.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from aiohttp import web

from aiostream_server.errors import InvalidRequest, Unauthorized
from aiostream_server.intake.json_text import encode
from aiostream_server.intake.principal import Principal
from aiostream_server.protocols.a2a.card import AgentCard, Skilled, agent_card
from aiostream_server.web.caller import caller_of, link_base, path_prefix
from aiostream_server.web.models import cards_of
from aiostream_server.web.offer import AUTO, Offer
from aiostream_server.web.state import state_of

WELL_KNOWN: Final = ".well-known/agent-card.json"
_SERVER: Final = "aiostream_server"
_TEAMS: Final = "Teams of agents. Each question goes to the team that suits it."
_WITHOUT_KEY: Final = "Teams of agents. Ask with an API key; the extended agent card says what they do."
_MAX_AGE_S: Final = 60


async def get_card(request: web.Request) -> web.Response:
    """The card of the model in the path, or of the server. Raises `UnknownModel`."""
    model = request.match_info.get("model")
    try:
        card = card_for(request, caller_of(request), model)
    except Unauthorized:
        if any(name in request.headers for name in ("Authorization", "X-API-Key", "api-key")):
            raise
        card = _card_without_key(request, model or AUTO)
    body = encode(card).encode("ascii")
    headers = {
        "ETag": f'"{sha256(body).hexdigest()[:32]}"',
        "Cache-Control": f"private, max-age={_MAX_AGE_S}",
        "Vary": "Authorization, X-API-Key",
    }
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers, content_type="application/json")


def card_for(request: web.Request, principal: Principal, model: str | None) -> AgentCard:
    """What the caller may know. Raises `UnknownModel`."""
    state = state_of(request)
    offer = Offer(state.catalogue, principal)
    skilled = {
        card.id: Skilled(card.id, card.name, card.description, card.examples, card.vision)
        for card in cards_of(state)
        if card.id in offer
    }
    teams = [each for each in skilled.values() if each.id != AUTO]
    found = offer.find(model or (AUTO if AUTO in offer or not teams else teams[0].id))
    if found.spec is not None and model is not None:
        return _card(request, skilled[found.id], model, [skilled[found.id]])
    agent = Skilled(found.id, _SERVER, _TEAMS, sees_images=any(each.sees_images for each in teams))
    return _card(request, agent, model or found.id, teams or [agent])


def _card(request: web.Request, agent: Skilled, model: str, skills: Sequence[Skilled]) -> AgentCard:
    base = link_base(request)
    if not base:
        raise InvalidRequest("the request's Host is not a valid one, so the card has no address to give")
    url = f"{base}{path_prefix(request)}/a2a/{quote(model, safe='')}"
    return agent_card(url, agent, skills, needs_key=bool(state_of(request).keys))


def _card_without_key(request: web.Request, model: str) -> AgentCard:
    agent = Skilled(model, _SERVER if model == AUTO else model, _WITHOUT_KEY)
    return _card(request, agent, model, [agent])
