"""Commands that a test runs in this process may add the folder of their configuration to the import path."""

import sys

import pytest


@pytest.fixture(autouse=True)
def own_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a later test would find the modules beside it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
