"""How a request wants a run shown: the presentation, and what a page needs."""

from dataclasses import replace

from aiohttp import web

from aiostream_server.config.model import Presentation
from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.principal import Principal
from aiostream_server.present import Page
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.web.caller import own_links, path_prefix
from aiostream_server.web.offer import PRESENTATIONS, NamedModel
from aiostream_server.web.state import state_of


def chat_view(
    request: web.Request,
    named: NamedModel,
    principal: Principal,
    *,
    is_page: bool,
    is_continuation: bool,
    is_json: bool,
    is_spoken: bool = False,
) -> DisplayOptions:
    """The presentation is that of the header, else of the model's id, else of the key, else of the team.

    What continues an answer is only the answer's text: it goes on in the sentence. In a voice call of a page that reads
    aloud what an answer says, a transcript of the key or the team is folded away.

    Raises `InvalidRequest` for an unknown one in the header.
    """
    state, spec = state_of(request), named.spec
    shows = state.config.open_webui
    asked_for = _header(request) or named.presentation
    if is_continuation:
        chosen: Presentation | None = "answer"
    else:
        chosen = asked_for or principal.presentation or (None if spec is None else spec.config.presentation)
    view = DisplayOptions(
        chosen,
        {} if chosen is not None else {team.id: team.config.presentation for team in state.catalogue},
        "" if spec is None else spec.id,
        "" if spec is None else spec.name,
        state.catalogue.members if is_page else None,
        Page(shows.remote_images, own_links(request), shows.artifacts) if is_page else None,
        path_prefix(request),
        reasoning_fields=state.config.server.reasoning_fields,
    )
    if is_json:  # for a program: nothing that only a page understands
        return replace(_without_transcript(view, "answer"), page=None, is_json=True)
    return _without_transcript(view, "reasoning") if is_spoken and is_page and asked_for is None else view


def _header(request: web.Request) -> Presentation | None:
    wish = request.headers.get("X-Presentation")
    if wish is not None and wish not in PRESENTATIONS:
        raise InvalidRequest(f"X-Presentation must be one of: {', '.join(PRESENTATIONS)}")
    return next((known for known in PRESENTATIONS if known == wish), None)


def _without_transcript(view: DisplayOptions, instead: Presentation) -> DisplayOptions:
    by_team = {team: instead if each == "transcript" else each for team, each in view.by_team.items()}
    chosen = instead if view.presentation == "transcript" else view.presentation
    return replace(view, presentation=chosen, by_team=by_team)
