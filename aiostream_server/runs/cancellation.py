"""The token that ends a team's work."""

from asyncio import Future
from typing import Any

from autogen_core import CancellationToken


class RunCancellation(CancellationToken):
    """Bears what AutoGen's `McpWorkbench` links to it: a coroutine, which has no `cancel`. AutoGen's own token raises
    when it is cancelled then, and whatever else is linked to it goes on (autogen-ext 0.7.5, tools/mcp/_workbench.py).
    """

    def link_future(self, future: Future[Any]) -> Future[Any]:
        return super().link_future(future) if hasattr(future, "cancel") else future
