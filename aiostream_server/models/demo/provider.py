"""The demo model as a provider: streams a reply in word-sized tokens, at a set pace or as fast as they are read."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from autogen_core.models import FinishReasons, ModelInfo, RequestUsage

from aiostream_server.models.demo.conversation import DemoReply, text_of
from aiostream_server.models.demo.skills import decide
from aiostream_server.models.provider import CallDelta, Delta, End, ModelRequest, TextDelta

_TOKEN: Final = re.compile(r"\S+\s*|\s+")
_UNPACED_BATCH: Final = 16  # tokens before an unpaced stream yields to the event loop


class DemoProvider:
    """Keeps no state between calls, so calls may overlap. `tokens_per_s` paces every answer; 0 is unpaced."""

    model_info: Final = ModelInfo(
        vision=False,
        function_calling=True,
        json_output=True,
        structured_output=False,
        family="demo",
        multiple_system_messages=True,
    )

    takes_schemas: Final = True

    def __init__(self, tokens_per_s: float = 0.0) -> None:
        self._tokens_per_s = tokens_per_s

    async def stream(self, request: ModelRequest) -> AsyncIterator[Sequence[Delta]]:
        """Deltas as they fall due, then `End`; its usage counts the prompt's words and the answer's deltas.

        Token i is due at start + i / rate, so a late token does not delay the ones after it.
        """
        reply = decide(request)
        deltas = _tokens(reply)
        said = deltas[: _token_limit(request.options)]
        clock, rate, sent = asyncio.get_running_loop().time, self._tokens_per_s, 0
        start = clock()
        while sent < len(said):
            due = int((clock() - start) * rate) + 1 if rate else sent + _UNPACED_BATCH
            batch = said[sent : max(due, sent + 1)]
            yield batch
            sent += len(batch)
            wait_s = start + min(sent, len(said) - 1) / rate - clock() if rate else 0.0
            await asyncio.sleep(max(0.0, wait_s))
        finish: FinishReasons = "function_calls" if reply.tool else "stop"
        prompt_words = sum(len(text_of(message).split()) for message in request.messages)
        usage = RequestUsage(prompt_tokens=prompt_words, completion_tokens=len(said))
        yield [End("length" if len(said) < len(deltas) else finish, usage)]

    async def close(self) -> None:
        """Nothing is open."""


def _tokens(reply: DemoReply) -> list[Delta]:
    deltas: list[Delta] = [TextDelta(word) for word in _TOKEN.findall(reply.text)]
    if reply.tool:
        deltas.append(CallDelta(0, call_id=f"call_{secrets.token_hex(8)}", name=reply.tool))
        deltas += [CallDelta(0, arguments=piece) for piece in _TOKEN.findall(reply.arguments)]
    return deltas


def _token_limit(options: Mapping[str, Any]) -> int | None:
    given = [options.get(name) for name in ("max_tokens", "max_completion_tokens")]
    return min((max(0, limit) for limit in given if isinstance(limit, int)), default=None)
