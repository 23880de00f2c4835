"""The process that draws: it starts when needed, starts again after it ended, and never outlives the server."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.tools.chart.arguments import ChartNotDrawn, ChartProblem
from aiostream_server.tools.chart.painter import Painter, open_painter
from tests.kit.waiting import DEADLINE_S

COLUMNS = ("x", "y")
ROWS = (("A", 1), ("B", 2))
ASKED: dict[str, Any] = {"kind": "bar", "x": "x", "y": ["y"]}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by the tests, so that matplotlib lists the machine's fonts once."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
async def painter(state: Path) -> AsyncIterator[Painter]:
    async with open_painter(state) as opened:
        vars(opened)["_timeout_s"] = 2 * DEADLINE_S  # it has a lower priority than what else a busy machine does
        yield opened


def pid_of(painter: Painter) -> int:
    assert painter._process is not None
    return painter._process.pid


async def test_one_process_draws_all_charts_and_starts_again_after_it_ended(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets none of the server's environment variables."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    assert painter._process is None, "no chart was asked for yet"
    drawings = await asyncio.gather(*(painter.draw(COLUMNS, ROWS, ASKED, form) for form in ("png", "svg")))
    assert [drawing.media_type for drawing in drawings] == ["image/png", "image/svg+xml"]
    assert drawings[0].content.startswith(b"\x89PNG")
    first = pid_of(painter)
    environ = Path(f"/proc/{first}/environ").read_bytes()  # noqa: ASYNC240 - not on a disk
    assert b"MPLCONFIGDIR" in environ
    assert b"canary" not in environ
    process = painter._process
    assert process is not None
    process.kill()
    await process.wait()
    assert (await painter.draw(COLUMNS, ROWS, ASKED)).content == drawings[0].content
    assert pid_of(painter) != first
    second = pid_of(painter)
    await painter.close()
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_a_warm_process_draws_the_next_chart(painter: Painter) -> None:
    """Several runs may warm it at once; a closed painter stays closed."""
    await asyncio.gather(*(painter.warm() for _ in range(3)))
    warmed = pid_of(painter)
    await painter.draw(COLUMNS, ROWS, ASKED)
    assert pid_of(painter) == warmed
    await painter.close()
    await painter.warm()
    assert painter._process is None


async def test_a_wrong_argument_is_refused_without_starting_the_process(painter: Painter) -> None:
    with pytest.raises(ChartProblem, match="there is no column 'z'"):
        await painter.draw(COLUMNS, ROWS, {**ASKED, "y": ["z"]})
    assert painter._process is None


async def test_a_process_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    painter = Painter(tmp_path, timeout_s=0.02)  # shorter than the start of an interpreter
    with pytest.raises(ChartNotDrawn, match="not drawn in time"):
        await painter.draw(COLUMNS, ROWS, ASKED)
    assert painter._process is None
    await painter.close()


async def test_an_idle_process_ends_and_the_next_chart_starts_another(state: Path) -> None:
    painter = Painter(state / "charts", idle_s=0.05)
    await painter.draw(COLUMNS, ROWS, ASKED)
    process = painter._process
    assert process is not None
    await process.wait()
    assert (await painter.draw(COLUMNS, ROWS, ASKED)).media_type == "image/png"
    await painter.close()


async def test_a_cancelled_chart_leaves_no_answer_to_the_next_one(painter: Painter) -> None:
    task = asyncio.create_task(painter.draw(COLUMNS, ROWS, ASKED, "svg"))
    while painter._process is None:  # noqa: ASYNC110 - the painter has no event for it
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await painter.draw(COLUMNS, ROWS, ASKED)).media_type == "image/png"


async def test_closing_does_not_wait_for_charts(tmp_path: Path) -> None:
    painter = Painter(tmp_path)
    waiting = [asyncio.create_task(painter.draw(COLUMNS, ROWS, ASKED)) for _ in range(40)]
    await asyncio.sleep(0)
    await painter.close()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum("too many charts" in str(each) for each in told) == 8
    assert all(isinstance(each, ChartNotDrawn | asyncio.CancelledError) for each in told)
