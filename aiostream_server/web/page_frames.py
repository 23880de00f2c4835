"""What Open WebUI's page shows beside a run's text: what is going on, and what the answer rests on."""

from collections.abc import Iterator

from aiostream_server.events import Event
from aiostream_server.present.sources import Sources
from aiostream_server.present.status import Status, StatusLine
from aiostream_server.sse.frames import data_frame
from aiostream_server.wire.open_webui import source_frame, status_frame


class PageFrames:
    """One viewer's frames. Feed both methods every event, in order."""

    def __init__(self) -> None:
        self._status = StatusLine()
        self._sources = Sources()

    def statuses(self, event: Event) -> Iterator[bytes]:
        for status in self._status.show(event):
            yield _status(status)

    def sources(self, event: Event) -> Iterator[bytes]:
        for source in self._sources.show(event):
            yield data_frame(source_frame(source.name, source.text))


def _status(status: Status) -> bytes:
    return data_frame(status_frame(status.description, done=status.done))
