"""Several observers as one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final, TypeVar

from aiostream_server.events import Event, TokenCount
from aiostream_server.observe.observer import NOBODY, CallWatch, Observer, RequestWatch, RunWatch

_W = TypeVar("_W")


def together(*observers: Observer) -> Observer:
    """Who tells this one tells them all, in their order; context managers are left in the reverse one."""
    if not observers:
        return NOBODY
    return observers[0] if len(observers) == 1 else _Several(observers)


class _Several:
    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers: Final = tuple(observers)
        self._delays: Final[Sequence[Callable[[float], None]]] = tuple(each.delay for each in observers)

    @contextmanager
    def request(self, request_id: str, method: str, route: str, headers: Mapping[str, str]) -> Iterator[RequestWatch]:
        with _all(each.request(request_id, method, route, headers) for each in self._observers) as watches:
            yield _Requests(watches)

    @contextmanager
    def run(self, run_id: str, *, model: str, question: str, conversation: str | None) -> Iterator[RunWatch]:
        runs = (each.run(run_id, model=model, question=question, conversation=conversation) for each in self._observers)
        with _all(runs) as watches:
            yield _Runs(watches)

    @contextmanager
    def model_call(self, name: str, *, model: str, provider: str, agent: str | None) -> Iterator[CallWatch]:
        calls = (each.model_call(name, model=model, provider=provider, agent=agent) for each in self._observers)
        with _all(calls) as watches:
            yield _Calls(watches)

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


class _Requests:
    def __init__(self, watches: Sequence[RequestWatch]) -> None:
        self._watches = watches

    def answered(self, status: int, run_id: str | None) -> None:
        for watch in self._watches:
            watch.answered(status, run_id)


class _Runs:
    def __init__(self, watches: Sequence[RunWatch]) -> None:
        self._watches = watches

    def chose(self, team: str) -> None:
        for watch in self._watches:
            watch.chose(team)

    def event(self, event: Event) -> None:
        for watch in self._watches:
            watch.event(event)


class _Calls:
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
