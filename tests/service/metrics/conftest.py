"""What tests of the metrics share: one server to which everything has happened."""

import asyncio

import pytest

from tests.service.metrics.counting import Figures
from tests.service.metrics.everything import everything_happened


@pytest.fixture(scope="package")
def happened(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    """Read once, after that."""

    async def read() -> Figures:
        async with everything_happened(tmp_path_factory.mktemp("everything")) as figures:
            return figures

    return asyncio.run(read())
