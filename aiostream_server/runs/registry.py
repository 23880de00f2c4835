"""The runs that are going on: how many there may be, and how all of them are ended."""

import asyncio
from collections.abc import Collection
from typing import Final

from aiostream_server.errors import ShuttingDown, TooManyRuns
from aiostream_server.events import FinishReason
from aiostream_server.intake.question import Question
from aiostream_server.runs.run import Run, RunParts
from aiostream_server.teams.catalogue import TeamSpec


class Registry:
    """Every live run of this process."""

    def __init__(self, parts: RunParts) -> None:
        self._parts: Final = parts
        self._live: dict[str, Run] = {}
        self._is_closing = False

    def __len__(self) -> int:
        return len(self._live)

    @property
    def is_closing(self) -> bool:
        return self._is_closing

    def start(
        self, question: Question, *, model: str, spec: TeamSpec | None, allowed: Collection[str] | None = None
    ) -> Run:
        """Admit and start a run. Raises `TooManyRuns` or `ShuttingDown`."""
        if self._is_closing:
            raise ShuttingDown("the server is shutting down; ask again in a moment")
        limit = self._parts.limits.max_runs
        if len(self._live) >= limit:
            raise TooManyRuns(f"{limit} runs are going on already; try again in a moment")
        run = Run(question, self._parts, model=model, spec=spec, allowed=allowed)
        self._live[run.id] = run
        run.start(on_end=lambda: self._live.pop(run.id, None))
        return run

    async def close(self, reason: FinishReason = "interrupted") -> None:
        """Take no more runs; end those that are live, and wait until they have ended."""
        self._is_closing = True
        live = tuple(self._live.values())
        for run in live:
            run.stop(reason)
        await asyncio.gather(*(run.wait() for run in live))
