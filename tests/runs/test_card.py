"""A run's card tells what `/v1/runs` shows, and survives a trip through JSON."""

import asyncio

from msgspec.json import decode, encode

from aiostream_server.events import RunFinished
from aiostream_server.runs.card import RunCard
from tests.runs.running import runs_of
from tests.runs.test_run import Saying, Stuck


def _explode() -> object:
    raise RuntimeError("no such table")


async def test_card_of_a_live_run() -> None:
    runs = runs_of(Stuck)
    run = await runs.start()
    await asyncio.sleep(0)
    card = run.card()
    assert (card.id, card.model, card.team, card.conversation) == (run.id, "auto", "team", None)
    assert (card.on_disconnect, card.created_at, card.last_seq) == ("cancel", run.created_at, 1)
    assert (card.finished, card.error) == (None, None)
    assert decode(encode(card), type=RunCard) == card
    await runs.registry.close()


async def test_card_of_a_finished_run() -> None:
    run = await runs_of(lambda: Saying("x")).start()
    await run.wait()
    card = run.card()
    assert isinstance(card.finished, RunFinished)
    assert card.finished.reason == "stop"
    assert (card.error, card.last_seq) == (None, run.log.committed)
    assert decode(encode(card), type=RunCard) == card


async def test_card_of_a_failed_run_has_its_error() -> None:
    run = await runs_of(_explode).start()
    await run.wait()
    card = run.card()
    assert card.error is not None
    assert (card.error.code, card.last_seq) == ("team_failed", run.log.committed)
    assert decode(encode(card), type=RunCard) == card
