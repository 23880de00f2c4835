"""What a server tells whoever measures it: requests, runs, model calls.

`service` implements this (metrics, traces); without it `NOBODY` listens. The rooms below call it and import nothing of
what stands behind it. Nothing is called per token, but for `delay`, for one in sixteen writes to a viewer.

Context managers are entered in the task that does the work, so that an implementation may set context variables: tasks
that are started inside inherit them, a run started by a request among them. An exception that goes through one is the
reason why the work ended. Nothing that is called here may wait or raise.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final, Protocol

from aiostream_server.events import Event, TokenCount


class RequestWatch(Protocol):
    """One HTTP request, until its handler is done: of a stream, until its last frame."""

    def answered(self, status: int, run_id: str | None) -> None:
        """The headers of the answer leave now: its first byte. Once, or never where the client left before. `run_id`
        is the run that the answer shows or tells of, perhaps one that another request has started."""
        ...


class RunWatch(Protocol):
    """One run, from before its first event to behind its last."""

    def chose(self, team: str) -> None:
        """Which team does the work, once that is known: after the routing, or at once where the client named it."""
        ...

    def event(self, event: Event) -> None:
        """Every event, as it is written to the run's log; of tokens only the first."""
        ...


class CallWatch(Protocol):
    """One call of a model, retries included. Exactly one of `ended` and `failed` comes, and comes last."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the provider's request carries, so that what is behind it can be told from where it was asked."""
        ...

    def retried(self, reason: str) -> None:
        """The provider is asked again; `reason` is a status ("429"), or "connection"."""
        ...

    def first_token(self) -> None:
        """The first word, thought or piece of a tool call arrived; never, where there is none."""
        ...

    def ended(self, usage: TokenCount, finish_reason: str) -> None: ...

    def failed(self, code: str, usage: TokenCount) -> None:
        """`code` is an error's (`model_failed`, `model_timeout`, `internal_error`), or "cancelled"; `usage` what the
        call cost all the same."""
        ...


class Observer(Protocol):
    def request(
        self, request_id: str, method: str, route: str, headers: Mapping[str, str]
    ) -> AbstractContextManager[RequestWatch]:
        """`route` is the pattern ("/v1/runs/{run_id}"), never what the client wrote; "unknown" where there is none."""
        ...

    def run(
        self, run_id: str, *, model: str, question: str, conversation: str | None
    ) -> AbstractContextManager[RunWatch]:
        """`model` is what the client asked for, one of those that are served. `question` is what the user wrote, and
        `conversation` may be: neither is told further as it stands, unless the administrator wants it."""
        ...

    def model_call(
        self, name: str, *, model: str, provider: str, agent: str | None
    ) -> AbstractContextManager[CallWatch]:
        """`name` is the configuration's ([models.NAME]); that of a team's own client is its `model`, which is the
        provider's name for it. `provider` is the kind ("openai", "demo", "component"); `agent` is None outside of a
        group chat."""
        ...

    def auxiliary(self, kind: str, *, by: str) -> None:
        """A title or the like was answered, `by` "rules" or "model"."""
        ...

    def viewer_evicted(self) -> None:
        """A client did not read, and was cut off."""
        ...

    def delay(self, seconds: float) -> None:
        """How long the oldest event of a write was on its way from the run's log to the client's socket. Told of one
        write in sixteen, and not of events from before the viewer came. Has to be done within a microsecond."""
        ...


class Nobody:
    """Listens to nothing."""

    def request(self, *_: object, **__: object) -> AbstractContextManager[RequestWatch]:
        return nullcontext(_DEAF)

    def run(self, *_: object, **__: object) -> AbstractContextManager[RunWatch]:
        return nullcontext(_DEAF)

    def model_call(self, *_: object, **__: object) -> AbstractContextManager[CallWatch]:
        return nullcontext(_DEAF)

    def auxiliary(self, *_: object, **__: object) -> None: ...

    def viewer_evicted(self) -> None: ...

    def delay(self, seconds: float) -> None: ...


class _Deaf:
    headers: Final[Mapping[str, str]] = MappingProxyType({})

    def answered(self, status: int, run_id: str | None) -> None: ...

    def chose(self, team: str) -> None: ...

    def event(self, event: Event) -> None: ...

    def retried(self, reason: str) -> None: ...

    def first_token(self) -> None: ...

    def ended(self, usage: TokenCount, finish_reason: str) -> None: ...

    def failed(self, code: str, usage: TokenCount) -> None: ...


_DEAF: Final = _Deaf()
NOBODY: Final[Observer] = Nobody()

current_observer: Final[ContextVar[Observer]] = ContextVar("current_observer", default=NOBODY)
"""In a run: for model clients that a team brings along, which no configuration opened."""
