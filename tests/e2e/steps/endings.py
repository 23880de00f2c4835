"""Answers that do not come to their end."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from tests.e2e import provider
from tests.e2e.page import Look
from tests.e2e.programs import logged_at
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import find_exchange
from tests.kit.waiting import wait_for

_END_WITHIN_S: Final = 1.0


async def _stop(stage: Stage) -> None:
    """Stop ends the run and the model's request, and keeps the text so far."""
    await stage.chat.open("scripted")
    await _stop_when(stage, provider.LONG, lambda look: len(look.text) > 60)
    stopped = await stage.chat.look()
    await asyncio.sleep(0.5)
    await stage.picture("stopped")
    assert not await stage.chat.answers.last.locator(".shimmer").count(), "the status line still shimmers"
    assert "1 2 3" in stopped.text, stopped.text[:200]
    assert (await stage.chat.look()).text == stopped.text, "the text still grows"


async def _stop_in_silence(stage: Stage) -> None:
    await stage.chat.open("scripted")
    await _stop_when(stage, provider.SILENT, lambda look: look.running)


async def _failure(stage: Stage) -> None:
    await stage.chat.open("scripted")
    last = (await stage.ask(provider.FAILING))[-1]
    await stage.picture("failure")
    assert provider.FAILING_TEXT in last.text, f"lost what was said before it: {last.text[:200]}"
    assert provider.FAILURE in last.error, f"no word of the failure: {last.error!r}"
    assert last.text.count(provider.FAILURE) == 1, f"the failure is told twice: {last.text}"


async def _cut(stage: Stage) -> None:
    """An answer that was cut says so behind its last word, and what to do."""
    await stage.chat.open("scripted")
    last = (await stage.ask(provider.SHORTENED))[-1]
    await stage.picture("cut")
    said, _, behind = last.text.partition("has no")
    assert "This sentence" in said, last.text
    assert "token limit" in behind, last.text
    assert "Continue response" in behind, last.text


async def _stop_when(stage: Stage, question: str, is_time: Callable[[Look], bool]) -> None:
    """Ask, press Stop when it is time; the run is cancelled and the provider left, within a second."""
    before = len(stage.server.lines("run_finished"))
    async with aclosing(stage.asking(question)) as looks:  # type: ignore[type-var]
        async for look in looks:
            if is_time(look):
                break
    exchange = await wait_for(partial(find_exchange, stage, question), "the model's request", within_s=5)
    pressed_at = datetime.now(UTC)
    await stage.chat.stop()
    line = await wait_for(partial(_cancelled, stage, before), "a cancelled run in the log", within_s=5)
    took_s = (logged_at(line) - pressed_at).total_seconds()
    assert took_s < _END_WITHIN_S, f"the run ended after {took_s:.2f} s"
    async with asyncio.timeout(_END_WITHIN_S):  # TimeoutError: the provider still answers
        await exchange.closed.wait()
    await stage.chat.until_running(is_so=False)


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
