"""One thing that a person does in the page."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.e2e.stage import Stage


@dataclass(frozen=True, slots=True)
class Step:
    """Fails by raising; what it returns is a figure to print. Opens its own conversation and needs no other step."""

    name: str
    run: Callable[[Stage], Awaitable[str | None]]
    limit_s: float = 60.0
