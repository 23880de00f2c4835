"""Answers that do not come to their end."""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from tests.e2e import provider, relay
from tests.e2e.page import Look
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import find_exchange
from tests.kit.scripted_provider import Exchange
from tests.kit.waiting import wait_for

_SLOWER_S: Final = 1.0
_LEFT_WITHIN_S: Final = 10.0
_INTERNAL: Final = re.compile(r"\[|https?:|127\.0\.0\.1|\b[45]\d\d\b")


async def _stop(stage: Stage) -> str:
    """Stop ends the run and the model's request, and keeps the text so far."""
    told = await _compare_stops(stage, provider.LONG, lambda look: len(look.text) > 60)
    stopped = await stage.chat.look()
    await asyncio.sleep(0.5)
    await stage.picture("stopped")
    assert not await stage.chat.answers.last.locator(".shimmer").count(), "the status line still shimmers"
    assert "1 2 3" in stopped.text, stopped.text[:200]
    assert (await stage.chat.look()).text == stopped.text, "the text still grows"
    return told


async def _stop_in_silence(stage: Stage) -> str:
    return await _compare_stops(stage, provider.SILENT, lambda look: look.running)


async def _failure(stage: Stage) -> None:
    """One box with a whole sentence about what happened, and what to do; the text so far stays."""
    await stage.chat.open("scripted")
    last = (await stage.ask(provider.FAILING))[-1]
    await stage.picture("failure")
    assert provider.FAILING_TEXT in last.text, f"lost what was said before it: {last.text[:200]}"
    assert provider.FAILURE in last.error, f"no word of the failure: {last.error!r}"
    assert last.text.count(provider.FAILURE) == 1, f"the failure is told twice: {last.text}"
    assert "Ask again." in last.error, f"no word of what to do: {last.error}"
    assert not _INTERNAL.search(last.error), f"words of the configuration: {last.error}"


async def _cut(stage: Stage) -> None:
    """An answer that was cut says so behind its last word, and what to do."""
    await stage.chat.open("scripted")
    last = (await stage.ask(provider.SHORTENED))[-1]
    await stage.picture("cut")
    said, _, behind = last.text.partition("has no")
    assert "This sentence" in said, last.text
    assert "token limit" in behind, last.text
    assert "Continue response" in behind, last.text


async def _compare_stops(stage: Stage, question: str, is_time: Callable[[Look], bool]) -> str:
    """The provider is left within a second of what it takes through a bare relay, and the run is cancelled."""
    bare_s = await _stop_when(stage, relay.MODEL, question, is_time)
    before = len(stage.server.lines("run_finished"))
    stage.turns += 1
    ours_s = await _stop_when(stage, "scripted", question, is_time)
    await wait_for(partial(_cancelled, stage, before), "a cancelled run in the log", within_s=5)
    told = f"the model is left after {ours_s:.2f} s; bare relay: {bare_s:.2f} s"
    assert ours_s <= bare_s + _SLOWER_S, told
    return told


async def _stop_when(stage: Stage, model: str, question: str, is_time: Callable[[Look], bool]) -> float:
    """Ask, and press Stop when it is time. Seconds until the provider has lost its client."""
    await stage.chat.open(model)
    async with aclosing(stage.chat.asking(question)) as looks:  # type: ignore[type-var]
        async for look in looks:
            if is_time(look):
                break
    exchange = await wait_for(partial(_running, stage, question), "the model's request", within_s=5)
    pressed_at = time.monotonic()
    await stage.chat.stop()
    async with asyncio.timeout(_LEFT_WITHIN_S):  # TimeoutError: the provider still answers
        await exchange.closed.wait()
    await stage.chat.until_running(is_so=False)
    return (exchange.closed_at or time.monotonic()) - pressed_at


async def _running(stage: Stage, question: str) -> Exchange | None:
    """The model's last request with this question, while it is answered."""
    exchange = await find_exchange(stage, question)
    return None if exchange is None or exchange.closed.is_set() else exchange


async def _cancelled(stage: Stage, before: int) -> dict[str, Any] | None:
    """Its line; `before` lines were there before it."""
    lines = stage.server.lines("run_finished")[before:]
    return next((line for line in lines if line["outcome"] == "cancelled"), None)


STEPS: Final = (
    Step("stop", _stop),
    Step("stop-in-silence", _stop_in_silence),
    Step("cut", _cut),
    Step("failure", _failure),
)
