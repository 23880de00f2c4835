"""The page keeps up with a run: frames a second beside those of the same page at rest."""

import pytest

from tests.kit.needs import needs
from tests.page.__main__ import frames


@needs("browser")
@pytest.mark.alone
@pytest.mark.timeout(120)
async def test_twelve_agents_cost_no_frames() -> None:
    """600 tokens at 100 a second; `scripts/dev/e2e-page` shows 5,000."""
    seen = await frames(tokens=600)
    assert seen["busy"] >= 0.75 * seen["idle"], seen
