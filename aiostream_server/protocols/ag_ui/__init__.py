"""AG-UI 1.0, which CopilotKit and other pages for agents read: https://docs.ag-ui.com

`docs/ag-ui.md` is its manual.
"""

from typing import Final

from aiostream_server.protocols.ag_ui.request import ThreadOptions, kept_options, read_input
from aiostream_server.protocols.ag_ui.stream import ThreadFrames
from aiostream_server.protocols.ag_ui.thread import asked_elsewhere
from aiostream_server.protocols.chat.errors import refusal
from aiostream_server.protocols.dialect import Dialect, DisplayOptions
from aiostream_server.protocols.runs.whole import RunCollector
from aiostream_server.runs.card import RunCard

NAME: Final = "ag_ui"


def _stream(card: RunCard, options: ThreadOptions, _: DisplayOptions) -> ThreadFrames:
    return ThreadFrames(card, options)


def _whole(card: RunCard, _: ThreadOptions, view: DisplayOptions) -> RunCollector:
    return RunCollector(card, view.path_prefix, view.watch_link)


def options_of(card: RunCard) -> ThreadOptions:
    """The options for showing a run that another stream has begun to show, whatever protocol asked for it."""
    if card.protocol == NAME:
        return kept_options(card.kept)
    return ThreadOptions(messages=asked_elsewhere(card))


AG_UI: Final = Dialect(NAME, read_input, _stream, _whole, refusal, on_disconnect="cancel", serves_chat_pages=False)
