"""What the rest of the server sees of a run: a `RunView`, and the `RunCard` that describes it.

A view may stand for a run of this process (`runs.run.Run`) or for one that another process drives. The card is plain
data, which msgspec encodes and decodes: any process can show it.
"""

from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from aiostream_server.config.model import OnDisconnect
from aiostream_server.events import Error, FinishReason, RunFinished
from aiostream_server.intake.principal import Owner
from aiostream_server.log.protocol import Reader


class RunCard(msgspec.Struct, frozen=True):
    """A run as its owner may see it, at one moment.

    `model` is what the client asked for; `team` is None until it is chosen. `created_at` is Unix time in seconds.
    `last_seq` is the number of the last event. `finished`, and the `error` of a failed run, are None while it is live.
    `ended_at` is the Unix time of the last event of a finished run, and `asks_user` tells that it ended with a question
    to the user. `question` is the beginning of what the user typed. `protocol` is the name of that in which the run was
    asked for, and `kept` the JSON that it keeps with the run.
    """

    id: str
    model: str
    team: str | None
    conversation: str | None
    on_disconnect: OnDisconnect
    created_at: float
    last_seq: int
    finished: RunFinished | None
    error: Error | None
    question: str = ""
    protocol: str = ""
    kept: bytes = b""
    ended_at: float | None = None
    asks_user: bool = False


class RunView(Protocol):
    """A live or finished run."""

    @property
    def id(self) -> str: ...

    @property
    def owner(self) -> Owner: ...

    def card(self) -> RunCard:
        """The run as this process knows it now."""

    def watch(self, after: int = 0) -> AbstractContextManager[Reader]:
        """A reader of the events behind number `after`. When the last viewer leaves, `on_disconnect` applies."""

    async def stop(self, reason: FinishReason) -> None:
        """Ask the run to end. Returns once it was told; `wait` returns once it has ended. Later calls do nothing."""

    async def wait(self) -> None:
        """Wait until the run has ended. Cancelling the wait does not touch the run."""
