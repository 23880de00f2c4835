"""Several observers as one: each gets every call, in order."""

from contextvars import copy_context

import pytest

from aiostream_server.events import RunStarted, TokenCount
from aiostream_server.observe.observer import NO_OBSERVER, Observer, fan_out
from tests.kit.observing import Remembering


def _call_everything(observer: Observer) -> None:
    with observer.request("req-1", "GET", "/v1/models", {}) as request:
        with observer.run("run-1", model="auto", question="q", conversation=None, protocol="chat") as run:
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


def test_each_gets_every_call() -> None:
    alone, one, other = Remembering(), Remembering(), Remembering()
    copy_context().run(_call_everything, alone)
    copy_context().run(_call_everything, fan_out(one, other))
    named = [facts[:3] for facts in alone.told]  # the fourth is a context variable, which each of them sets
    assert [facts[:3] for facts in one.told] == [facts[:3] for facts in other.told] == named
    assert len(named) == 15
    assert one.delays == other.delays == alone.delays == [0.25]


def test_each_sees_the_exception_that_ends_the_work() -> None:
    one, other = Remembering(), Remembering()

    def fail() -> None:
        with fan_out(one, other).run("run-1", model="auto", question="q", conversation=None, protocol="chat"):
            raise KeyError

    with pytest.raises(KeyError):
        copy_context().run(fail)
    assert one.told[-1] == other.told[-1] == ("run", "over", KeyError)


def test_a_fan_out_to_none_is_no_observer_and_to_one_is_that_one() -> None:
    assert fan_out() is NO_OBSERVER
    assert fan_out(one := Remembering()) is one


def test_no_observer_accepts_every_call() -> None:
    _call_everything(NO_OBSERVER)
