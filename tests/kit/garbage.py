"""For tests that collect garbage again and again."""

import gc

import pytest


@pytest.fixture(scope="module")
def earlier_tests_are_frozen() -> None:
    """What they have left lives on, and each collection would traverse it."""
    gc.collect()
    gc.freeze()
