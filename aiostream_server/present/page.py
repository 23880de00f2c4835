"""Where a run is shown as a web page."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A web page that renders Markdown and HTML: Open WebUI. `remote_images`: whether pictures that agents name by URL
    may be loaded by the reader's browser."""

    remote_images: bool = False
