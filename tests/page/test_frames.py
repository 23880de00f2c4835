"""The page keeps up with a run: what a frame costs the page's main thread, in CPU time."""

import pytest

from tests.kit.needs import needs
from tests.page.__main__ import frames

FRAME_MS = 1_000 / 60


@needs("browser")
@pytest.mark.timeout(120)
async def test_twelve_agents_cost_less_than_half_of_each_frame() -> None:
    """600 tokens at 200 a second; `scripts/dev/e2e-page` shows 5,000."""
    seen = await frames(tokens=600, per_s=200, idle_s=0.2)
    assert seen.main_ms < FRAME_MS / 2, seen
