"""A model client of an unknown package, as an AutoGen component."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from autogen_core import Component
from autogen_core.models import CreateResult, LLMMessage, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient
from pydantic import BaseModel


class Counting:
    """Counts how often a client was built and closed."""

    built: ClassVar[int] = 0
    closed: ClassVar[int] = 0


class CountingConfig(BaseModel):
    words: str
    model: str = "counting"
    api_key: str | None = None


class CountingClient(ReplayChatCompletionClient, Component[CountingConfig]):
    component_type = "model"
    component_config_schema = CountingConfig  # type: ignore[assignment]  # another configuration
    component_provider_override = "tests.components.other_clients.CountingClient"

    def __init__(self, words: str) -> None:
        super().__init__([])
        self.words = words
        Counting.built += 1

    async def create(self, messages: Sequence[LLMMessage], **_: Any) -> CreateResult:
        return CreateResult(
            finish_reason="stop", content=self.words, usage=RequestUsage(1, 2), cached=False, logprobs=None
        )

    async def create_stream(self, messages: Sequence[LLMMessage], **_: Any) -> Any:
        yield self.words
        yield await self.create(messages)

    async def close(self) -> None:
        Counting.closed += 1

    @classmethod
    def _from_config(cls, config: CountingConfig) -> Self:  # type: ignore[override]  # as above
        return cls(config.words)
