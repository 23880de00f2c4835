"""A run's side of the tap that only remembers, and a client of a scripted provider."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult, RequestUsage

from aiostream_server.config.model import OpenAIModelConfig
from aiostream_server.errors import ModelFailed
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.live_arguments import CallPiece
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.provider import End, TextDelta, ThoughtDelta
from aiostream_server.models.token_sink import current_sink
from tests.kit.scripted_provider import ScriptedProvider

_Sink = TypeVar("_Sink", bound="RecordingSink | None")


@dataclass
class RecordingSink:
    """Every call in order, as `(what, speaker, ...)`; `at` holds the time of each `say`."""

    deaf_to: frozenset[str | None] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)
    heard: list[tuple[Any, ...]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    called: list[tuple[str | None, str]] = field(default_factory=list)
    facts: list[CallFacts] = field(default_factory=list)
    signs_of_life: int = 0
    gate: asyncio.Event | None = None
    spoken: asyncio.Event = field(default_factory=asyncio.Event)

    def hears(self, speaker: str | None) -> bool:
        return speaker not in self.deaf_to

    def may_call(self, speaker: str | None) -> bool:
        return True

    def allowed(self, speaker: str | None, calls: list[FunctionCall]) -> list[FunctionCall]:
        return calls

    def alive(self) -> None:
        self.signs_of_life += 1

    def calling(self, speaker: str | None, model: str) -> None:
        self.called.append((speaker, model))

    def retrying(self, reason: str, delay_s: float) -> None:
        self.heard.append(("retrying", reason, delay_s > 0))

    async def returned(self, speaker: str | None, results: Sequence[FunctionExecutionResult]) -> None:
        self.heard.append(("returned", speaker, [result.content for result in results]))

    def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        self.at.append(time.monotonic())
        self.spoken.set()
        self.heard.extend(
            ("text" if isinstance(delta, TextDelta) else "thought", speaker, delta.text) for delta in deltas
        )
        return not self.is_full

    def write_call(self, speaker: str | None, piece: CallPiece) -> None:
        self.heard.append(("call", speaker, *piece))

    @property
    def is_full(self) -> bool:
        return self.gate is not None and not self.gate.is_set()

    async def room(self) -> None:
        if self.gate is not None:
            await self.gate.wait()

    async def said(
        self,
        speaker: str | None,
        *,
        text: str,
        thought: str,
        calls: Sequence[FunctionCall],
        end: End,
    ) -> None:
        self.heard.append(("said", speaker, text, thought, [call.name for call in calls], end.finish_reason))

    async def spent(self, speaker: str | None, usage: RequestUsage, facts: CallFacts) -> None:
        self.heard.append(("spent", speaker, usage.prompt_tokens, usage.completion_tokens))
        self.facts.append(facts)

    def failed(self, error: ModelFailed) -> None:
        self.heard.append(("failed", error.code))

    def texts(self, speaker: str | None) -> str:
        return "".join(said[2] for said in self.heard if said[:2] == ("text", speaker))


@contextmanager
def sink_in_context(sink: _Sink) -> Iterator[_Sink]:
    token = current_sink.set(sink)
    try:
        yield sink
    finally:
        current_sink.reset(token)


def config_of(provider: ScriptedProvider, **settings: Any) -> OpenAIModelConfig:
    return OpenAIModelConfig.model_validate(
        {"provider": "openai", "model": "scripted", "base_url": provider.base_url, **settings}
    )


@asynccontextmanager
async def scripted_client(**settings: Any) -> AsyncIterator[tuple[ScriptedProvider, StreamingClient]]:
    """A provider to script, and a client that is pointed at it."""
    async with ScriptedProvider() as provider:
        client = StreamingClient(OpenAIProvider(config_of(provider, **settings)))
        try:
            yield provider, client
        finally:
            await client.close()
