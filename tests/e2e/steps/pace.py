"""How far behind its tokens the page is: through this server, and through a bare relay beside it."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tests.e2e import provider, relay
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import find_exchange
from tests.kit.waiting import wait_for

_LATE_S: Final = 1.0
_SLOWER_S: Final = 0.3
_ANSWER_S: Final = 240.0
_WATCH: Final = """words => {
    const seen = window.seenAt = {};
    const timer = setInterval(() => {
        const text = [...document.querySelectorAll(".chat-assistant")].pop()?.textContent ?? "";
        for (const word of words) if (!(word in seen) && text.includes(word)) seen[word] = Date.now() / 1000;
        if (words.every(word => word in seen)) clearInterval(timer);
    }, 20);
}"""


@dataclass(frozen=True, slots=True)
class _Lag:
    """Seconds from the provider's write of a token to the page's text."""

    first_s: float
    last_s: float

    def __str__(self) -> str:
        return f"first words {self.first_s:.2f} s, last token {self.last_s:.2f} s late"


async def _long_answer(stage: Stage) -> str:
    """5,000 tokens at 100 a second: the page keeps up, and no later than without this server."""
    ours = await _measure(stage, "scripted")
    stage.turns += 1
    bare = await _measure(stage, relay.MODEL)
    told = f"{ours}; bare relay: {bare}"
    assert ours.last_s <= max(_LATE_S, bare.last_s), told
    assert ours.first_s <= bare.first_s + _SLOWER_S, told
    return told


async def _measure(stage: Stage, model: str) -> _Lag:
    page = stage.chat.page
    await stage.chat.open(model)
    await page.evaluate(_WATCH, [provider.OPENING, provider.CLOSING])
    before = len(stage.provider.exchanges)
    await stage.chat.send(provider.LONG_ANSWER)

    async def find() -> dict[str, Any] | None:
        seen: dict[str, Any] = await page.evaluate("window.seenAt")
        return seen if provider.CLOSING in seen else None

    seen = await wait_for(find, "the last token in the page", within_s=_ANSWER_S, every_s=0.5)
    assert len(stage.provider.exchanges) > before
    exchange = await wait_for(partial(find_exchange, stage, provider.LONG_ANSWER), "the model's request", within_s=5)
    await stage.chat.until_running(is_so=False)
    epoch = time.time() - time.monotonic()
    return _Lag(
        seen[provider.OPENING] - epoch - exchange.left[0],
        seen[provider.CLOSING] - epoch - exchange.left[-1],
    )


STEPS: Final = (Step("long-answer", _long_answer, limit_s=600.0),)
