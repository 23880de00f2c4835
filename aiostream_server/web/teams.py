"""`GET /v1/teams`: the teams that the caller's key may use, and what each is made of."""

from aiohttp import web

from aiostream_server.protocols.runs.teams import TeamCard, teams_body
from aiostream_server.web.caller import caller_of
from aiostream_server.web.models import Offer
from aiostream_server.web.state import state_of
from aiostream_server.web.whole import json_bytes


async def list_teams(request: web.Request) -> web.Response:
    """In the order of the configuration."""
    catalogue = state_of(request).catalogue
    offer = Offer(catalogue, caller_of(request))
    offered = [spec for spec in catalogue if spec.id in offer]
    shapes = await catalogue.shapes()
    cards = (
        TeamCard(spec.id, spec.name, spec.config.description, spec.config.examples, shapes[spec.id]) for spec in offered
    )
    return json_bytes(teams_body(cards))
