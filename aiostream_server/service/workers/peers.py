"""What a worker has of the others: their pages, and the parent, which passes on that they are to be written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiostream_server.service.workers.channel import ParentChannel
from aiostream_server.service.workers.pages import WorkerPages


@dataclass(frozen=True, slots=True)
class WorkerPeers:
    """`number` is the worker's own."""

    number: int
    pages: WorkerPages
    parent: ParentChannel

    def ask(self) -> None:
        """Ask all others to write their pages."""
        self.parent.ask_for_pages()

    @contextmanager
    def answering(self, write: Callable[[], object]) -> Iterator[None]:
        """Call `write`, in a thread, when another worker asks for this one's page."""
        self.parent.on_page_asked = write
        try:
            yield
        finally:
            self.parent.on_page_asked = None
