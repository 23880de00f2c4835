"""How a request wants a run shown: the presentation, and what a page needs."""

from dataclasses import replace

from aiohttp import web

from aiostream_server.config.model import Presentation
from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.principal import Principal
from aiostream_server.present import Page
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.web.caller import own_links, path_prefix
from aiostream_server.web.models import PRESENTATIONS, NamedModel
from aiostream_server.web.state import state_of


def chat_view(
    request: web.Request,
    named: NamedModel,
    principal: Principal,
    *,
    is_page: bool,
    is_continuation: bool,
    is_json: bool,
) -> DisplayOptions:
    """The presentation is that of the header, else of the model's id, else of the key, else of the team.

    What continues an answer is only the answer's text: it goes on in the sentence.

    Raises `InvalidRequest` for an unknown one in the header.
    """
    state, wish = state_of(request), request.headers.get("X-Presentation")
    shows = state.config.open_webui
    page = Page(shows.remote_images, own_links(request), shows.artifacts) if is_page else None
    if wish is not None and wish not in PRESENTATIONS:
        raise InvalidRequest(f"X-Presentation must be one of: {', '.join(PRESENTATIONS)}")
    chosen = next((known for known in PRESENTATIONS if known == wish), None)
    chosen = chosen or named.presentation or principal.presentation
    if chosen is None and named.spec is not None:
        chosen = named.spec.config.presentation
    if is_continuation:
        chosen = "answer"
    by_team = {} if chosen is not None else {team.id: team.config.presentation for team in state.catalogue}
    fields = state.config.server.reasoning_fields
    name = "" if named.spec is None else named.spec.name
    view = DisplayOptions(chosen, by_team, name, page, path_prefix(request), reasoning_fields=fields)
    return _of_json(view) if is_json else view


def _of_json(view: DisplayOptions) -> DisplayOptions:
    """The answer is JSON alone, for a program: no transcript, and nothing that only a page understands."""
    by_team = {team: _without_transcript(each) for team, each in view.by_team.items()}
    chosen = None if view.presentation is None else _without_transcript(view.presentation)
    return replace(view, presentation=chosen, by_team=by_team, page=None, is_json=True)


def _without_transcript(presentation: Presentation) -> Presentation:
    return "answer" if presentation == "transcript" else presentation
