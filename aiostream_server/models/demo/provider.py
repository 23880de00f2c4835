"""The demo model as a provider: streams a reply in word-sized tokens, at a set pace or as fast as they are read."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from autogen_core.models import FinishReasons, ModelInfo, RequestUsage

from aiostream_server.models.demo.reply import DemoReply
from aiostream_server.models.demo.request import text_of
from aiostream_server.models.demo.skills import decide
from aiostream_server.models.provider import CallDelta, Delta, End, ModelRequest, TextDelta

_TOKEN: Final = re.compile(r"\S+\s*|\s+")
_UNPACED_BATCH: Final = 16  # tokens before an unpaced stream yields to the event loop


class DemoProvider:
    """Keeps no state between calls, so calls may overlap. `tokens_per_s` paces every answer; 0 is unpaced."""

    def __init__(self, tokens_per_s: float = 0.0) -> None:
        if not tokens_per_s >= 0:
            raise ValueError(f"tokens_per_s must be 0 (unpaced) or more, not {tokens_per_s}")
        self._tokens_per_s = tokens_per_s

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=True,
            json_output=True,
            structured_output=False,
            family="demo",
            multiple_system_messages=True,
        )

    async def stream(self, request: ModelRequest) -> AsyncIterator[Sequence[Delta]]:
        """Deltas as they fall due, then `End`; its usage counts the prompt's words and the answer's deltas."""
        reply = decide(request)
        deltas = _tokens(reply)
        limit = _token_limit(request.options)
        said = deltas if limit is None else deltas[:limit]
        pace, sent = _Pace(self._tokens_per_s), 0
        while sent < len(said):
            batch = said[sent : pace.due(sent)]
            yield batch
            sent += len(batch)
            await pace.until(min(sent, len(said) - 1))
        finish: FinishReasons = "function_calls" if reply.call else "stop"
        prompt_words = sum(len(text_of(message).split()) for message in request.messages)
        usage = RequestUsage(prompt_tokens=prompt_words, completion_tokens=len(said))
        yield [End("length" if len(said) < len(deltas) else finish, usage)]

    async def close(self) -> None:
        """Nothing is open."""


class _Pace:
    """Token i is due at start + i / rate, so a late token does not delay the ones after it."""

    def __init__(self, tokens_per_s: float) -> None:
        self._tokens_per_s = tokens_per_s
        self._clock = asyncio.get_running_loop().time
        self._start = self._clock()

    def due(self, sent: int) -> int:
        """How many tokens may have been sent by now: at least one more than `sent`."""
        if not self._tokens_per_s:
            return sent + _UNPACED_BATCH
        return max(sent + 1, int((self._clock() - self._start) * self._tokens_per_s) + 1)

    async def until(self, token: int) -> None:
        """Wait until a token is due; yield to the event loop at least once."""
        wait_s = self._start + token / self._tokens_per_s - self._clock() if self._tokens_per_s else 0.0
        await asyncio.sleep(max(0.0, wait_s))


def _tokens(reply: DemoReply) -> list[Delta]:
    deltas: list[Delta] = [TextDelta(word) for word in _TOKEN.findall(reply.text)]
    if reply.call:
        deltas.append(CallDelta(0, call_id=f"call_{secrets.token_hex(8)}", name=reply.call.name))
        deltas += [CallDelta(0, arguments=piece) for piece in _TOKEN.findall(reply.call.arguments)]
    return deltas


def _token_limit(options: Mapping[str, Any]) -> int | None:
    given = [options.get(name) for name in ("max_tokens", "max_completion_tokens")]
    return min((max(0, limit) for limit in given if isinstance(limit, int)), default=None)
