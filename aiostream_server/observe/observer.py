"""The observer protocol: a server tells an observer about requests, runs and model calls.

`service` implements it (metrics, traces); `NO_OBSERVER` is the default. `delay` is called for one in sixteen writes to
a viewer; no other method is called per token.

Context managers are entered in the task that does the work, so an implementation may set context variables: tasks that
are started inside inherit them, such as the run that a request starts. An exception that passes through a context
manager is the reason why the work ended. No method may block, await or raise.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import Final, Protocol, TypeVar

from aiostream_server.events import Event, TokenCount

_W = TypeVar("_W")


class RequestWatch(Protocol):
    """One HTTP request, until its handler ends: of a stream, until its last frame."""

    def answered(self, status: int, run_id: str | None) -> None:
        """The response's headers are sent now. Called once, or never if the client has disconnected.

        `run_id` is the run that the response shows or describes; another request may have started it.
        """
        ...


class RunWatch(Protocol):
    """One run, from before its first event until after its last."""

    def chose(self, team: str) -> None:
        """The team of the run is known: after the routing, or at once if the client named it."""
        ...

    def event(self, event: Event) -> None:
        """An event was written to the run's log. Of the tokens of a message, only the first is told."""
        ...


class CallWatch(Protocol):
    """One call of a model, retries included. Either `ended` or `failed` is called, once and last."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers to add to the request to the provider, for distributed tracing."""
        ...

    def retried(self, reason: str) -> None:
        """The request is repeated; `reason` is a status ("429"), or "connection"."""
        ...

    def first_token(self) -> None:
        """The first text, thought or piece of a tool call arrived. Not called if there is none."""
        ...

    def ended(self, usage: TokenCount, finish_reason: str) -> None:
        """`finish_reason` is one of `models.ending.EndReason`, or the provider's own word where that has no meaning
        here."""
        ...

    def failed(self, code: str, usage: TokenCount) -> None:
        """`code` is an error's (`model_failed`, `model_timeout`, `internal_error`), or "cancelled"; `usage` is what the
        call cost anyway."""
        ...


class Observer(Protocol):
    def request(
        self, request_id: str, method: str, route: str, headers: Mapping[str, str]
    ) -> AbstractContextManager[RequestWatch]:
        """`route` is the pattern ("/v1/runs/{run_id}"), never the client's own path; "unknown" if no route matches."""
        ...

    def run(
        self, run_id: str, *, model: str, question: str, conversation: str | None, protocol: str
    ) -> AbstractContextManager[RunWatch]:
        """`model` is the requested model id, one of those that are served; `protocol` the name of that in which it was
        asked for, empty for a run of a program that embeds the server.

        `question` is the user's text, and `conversation` may be a text of the client: an implementation passes neither
        on, unless the administrator asks for it.
        """
        ...

    def model_call(
        self, name: str, *, model: str, provider: str, agent: str | None
    ) -> AbstractContextManager[CallWatch]:
        """`name` is the configuration's ([models.NAME]); for a client that a team brings along it is `model`.

        `model` is the provider's name. `provider` is its kind ("openai", "demo", "component"). Outside a group chat
        `agent` is None.
        """
        ...

    def auxiliary(self, kind: str, *, by: str) -> None:
        """A request for a title or the like was answered, `by` "rules" or "model"."""
        ...

    def viewer_evicted(self) -> None:
        """The server disconnected a client that did not read."""
        ...

    def delay(self, seconds: float) -> None:
        """The time from the run's log to the client's socket, for the oldest event of a write.

        Called for one write in sixteen, but not for events from before the viewer came. Must take under a microsecond.
        """
        ...


def fan_out(*observers: Observer) -> Observer:
    """One observer that calls all of these, in order. It leaves context managers in the reverse order."""
    return observers[0] if len(observers) == 1 else _FanOut(observers) if observers else NO_OBSERVER


class _FanOut:
    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers: Final = tuple(observers)
        self._delays: Final[Sequence[Callable[[float], None]]] = tuple(each.delay for each in observers)

    @contextmanager
    def request(self, request_id: str, method: str, route: str, headers: Mapping[str, str]) -> Iterator[RequestWatch]:
        with _all(each.request(request_id, method, route, headers) for each in self._observers) as watches:
            yield _RequestFanOut(watches)

    @contextmanager
    def run(
        self, run_id: str, *, model: str, question: str, conversation: str | None, protocol: str
    ) -> Iterator[RunWatch]:
        runs = (
            each.run(run_id, model=model, question=question, conversation=conversation, protocol=protocol)
            for each in self._observers
        )
        with _all(runs) as watches:
            yield _RunFanOut(watches)

    @contextmanager
    def model_call(self, name: str, *, model: str, provider: str, agent: str | None) -> Iterator[CallWatch]:
        calls = (each.model_call(name, model=model, provider=provider, agent=agent) for each in self._observers)
        with _all(calls) as watches:
            yield _CallFanOut(watches)

    def auxiliary(self, kind: str, *, by: str) -> None:
        for each in self._observers:
            each.auxiliary(kind, by=by)

    def viewer_evicted(self) -> None:
        for each in self._observers:
            each.viewer_evicted()

    def delay(self, seconds: float) -> None:
        for tell in self._delays:
            tell(seconds)


@contextmanager
def _all(contexts: Iterator[AbstractContextManager[_W]]) -> Iterator[Sequence[_W]]:
    with ExitStack() as stack:
        yield [stack.enter_context(context) for context in contexts]


class _RequestFanOut:
    def __init__(self, watches: Sequence[RequestWatch]) -> None:
        self._watches = watches

    def answered(self, status: int, run_id: str | None) -> None:
        for watch in self._watches:
            watch.answered(status, run_id)


class _RunFanOut:
    def __init__(self, watches: Sequence[RunWatch]) -> None:
        self._watches = watches

    def chose(self, team: str) -> None:
        for watch in self._watches:
            watch.chose(team)

    def event(self, event: Event) -> None:
        for watch in self._watches:
            watch.event(event)


class _CallFanOut:
    def __init__(self, watches: Sequence[CallWatch]) -> None:
        self._watches = watches
        self.headers: Mapping[str, str] = {name: value for watch in watches for name, value in watch.headers.items()}

    def retried(self, reason: str) -> None:
        for watch in self._watches:
            watch.retried(reason)

    def first_token(self) -> None:
        for watch in self._watches:
            watch.first_token()

    def ended(self, usage: TokenCount, finish_reason: str) -> None:
        for watch in self._watches:
            watch.ended(usage, finish_reason)

    def failed(self, code: str, usage: TokenCount) -> None:
        for watch in self._watches:
            watch.failed(code, usage)


NO_OBSERVER: Final[Observer] = _FanOut(())

current_observer: Final[ContextVar[Observer]] = ContextVar("current_observer", default=NO_OBSERVER)
"""The observer of the current run, for model clients that a team brings along: no configuration opened them."""
