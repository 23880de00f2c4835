"""An observer that records its calls, in order, as tuples."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from aiostream_server.events import Event, TokenCount

surrounding: ContextVar[str] = ContextVar("surrounding", default="nothing")
"""What an observer around the work has set."""


class Remembering:
    """`told` holds all calls except delays. A context manager adds `begun` and `over`; the latter has the class of the
    exception that passed through it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.delays: list[float] = []

    @contextmanager
    def request(self, request_id: str, method: str, route: str, headers: Mapping[str, str]) -> Iterator["_Watch"]:
        with self._around("request", method, route) as watch:
            surrounding.set(headers.get("traceparent", request_id))
            yield watch

    @contextmanager
    def run(
        self, run_id: str, *, model: str, question: str, conversation: str | None, protocol: str
    ) -> Iterator["_Watch"]:
        assert run_id.startswith("run-")
        with self._around("run", model, surrounding.get()) as watch:
            surrounding.set("run")
            yield watch

    @contextmanager
    def model_call(self, name: str, *, model: str, provider: str, agent: str | None) -> Iterator["_Watch"]:
        with self._around("model_call", name, model, provider, agent, surrounding.get()) as watch:
            yield watch

    def auxiliary(self, kind: str, *, by: str) -> None:
        self.told.append(("auxiliary", kind, by))

    def viewer_evicted(self) -> None:
        self.told.append(("viewer_evicted",))

    def delay(self, seconds: float) -> None:
        self.delays.append(seconds)

    def of(self, what: str) -> list[tuple[Any, ...]]:
        """The calls of one kind, without its name."""
        return [tuple(facts) for first, *facts in self.told if first == what]

    @contextmanager
    def _around(self, what: str, *facts: object) -> Iterator["_Watch"]:
        self.told.append((what, "begun", *facts))
        try:
            yield _Watch(what, self.told)
        except BaseException as error:
            self.told.append((what, "over", type(error)))
            raise
        self.told.append((what, "over", None))


class _Watch:
    def __init__(self, what: str, told: list[tuple[Any, ...]]) -> None:
        self._what = what
        self._told = told
        self.headers: Mapping[str, str] = {}

    def answered(self, status: int, run_id: str | None) -> None:
        self._told.append((self._what, "answered", status))

    def chose(self, team: str) -> None:
        self._told.append((self._what, "chose", team))

    def event(self, event: Event) -> None:
        self._told.append((self._what, event.type))

    def retried(self, reason: str) -> None:
        self._told.append((self._what, "retried", reason))

    def first_token(self) -> None:
        self._told.append((self._what, "first_token"))

    def ended(self, usage: TokenCount, finish_reason: str) -> None:
        self._told.append((self._what, "ended", usage, finish_reason))

    def failed(self, code: str, usage: TokenCount) -> None:
        self._told.append((self._what, "failed", code, usage))
