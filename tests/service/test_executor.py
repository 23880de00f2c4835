"""Calls in threads, as the watchdog's thread sees them."""

import pytest

from aiostream_server.service import executor
from aiostream_server.teams.containment import Work

CALL = executor.ThreadCall(object(), 0.2, Work(None, None, None, None), ("a.py:1 f",), 1.0)


class Meanwhile(float):
    """A time; while it is compared, another thread's call ends."""

    def __le__(self, other: object) -> bool:
        executor._ended.append(CALL)
        return True


def test_calls_that_end_meanwhile_disturb_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "_ended", executor._ended.__class__([CALL], maxlen=16))
    assert executor.busiest_call(Meanwhile(0.0)) is CALL
