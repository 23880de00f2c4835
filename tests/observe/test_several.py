"""Several observers as one: each is told everything, in order."""

from contextvars import copy_context

import pytest

from aiostream_server.events import RunStarted, TokenCount
from aiostream_server.observe.observer import NOBODY, Observer
from aiostream_server.observe.several import together
from tests.kit.observing import Remembering


def _tell_everything(observer: Observer) -> None:
    with observer.request("req-1", "GET", "/v1/models", {}) as request:
        with observer.run("run-1", model="auto", question="q", conversation=None) as run:
            run.chose("data")
            run.event(RunStarted("auto"))
            with observer.model_call("default", model="m", provider="demo", agent=None) as call:
                call.retried("429")
                call.first_token()
                call.ended(TokenCount(1, 2), "stop")
                call.failed("model_failed", TokenCount())
        request.answered(200, "run-1")
    observer.auxiliary("title_generation", by="rules")
    observer.viewer_evicted()
    observer.delay(0.25)


def test_each_is_told_everything() -> None:
    alone, one, other = Remembering(), Remembering(), Remembering()
    copy_context().run(_tell_everything, alone)
    copy_context().run(_tell_everything, together(one, other))
    named = [facts[:3] for facts in alone.told]  # behind that, what surrounds it, which each of them sets
    assert [facts[:3] for facts in one.told] == [facts[:3] for facts in other.told] == named
    assert len(named) == 15
    assert one.delays == other.delays == alone.delays == [0.25]


def test_each_sees_what_goes_through() -> None:
    one, other = Remembering(), Remembering()

    def fail() -> None:
        with together(one, other).run("run-1", model="auto", question="q", conversation=None):
            raise KeyError

    with pytest.raises(KeyError):
        copy_context().run(fail)
    assert one.told[-1] == other.told[-1] == ("run", "over", KeyError)


def test_none_is_nobody_and_one_is_itself() -> None:
    assert together() is NOBODY
    assert together(one := Remembering()) is one


def test_nobody_takes_everything() -> None:
    _tell_everything(NOBODY)
