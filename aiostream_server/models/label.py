"""What a model is called, and who is told of its calls."""

import asyncio
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from aiostream_server.errors import ServerError
from aiostream_server.observe.observer import CallWatch, Observer, current_observer


@dataclass(frozen=True, slots=True)
class ModelLabel:
    """`name` is the configuration's, `model` the provider's, `provider` the kind. Without an `observer`, that of the
    run in which the call is made is told."""

    name: str
    model: str
    provider: str
    observer: Observer | None = None

    def call(self, agent: str | None) -> AbstractContextManager[CallWatch]:
        """Around one call. To be entered in the task that makes it."""
        observer = self.observer or current_observer.get()
        return observer.model_call(self.name, model=self.model, provider=self.provider, agent=agent)


UNNAMED: Final = ModelLabel("unnamed", "unnamed", "unnamed")


def code_of(error: BaseException) -> str:
    """How a failed call is told of."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return error.code if isinstance(error, ServerError) else ServerError.code
