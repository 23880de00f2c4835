"""Where a run is shown as a web page."""

from collections.abc import Callable
from dataclasses import dataclass


def _is_nobodys(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Page:
    """A web page that renders Markdown and HTML: Open WebUI. `remote_images`: whether pictures that agents name by URL
    may be loaded by the reader's browser. `is_own`: whether a URL is a link that this server has signed, to a file of
    its own: such pictures always may."""

    remote_images: bool = False
    is_own: Callable[[str], bool] = _is_nobodys
