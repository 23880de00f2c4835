"""Counts what the server reports to an `observe.observer.Observer`."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Self

from aiostream_server.events import Action, Error, Event, Restarted, RunFinished, Token, TokenCount, ToolResult
from aiostream_server.service.metrics.families import FINISH_REASONS, OTHER, BoundedNames, Families

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_NO_TEAM: Final = "none"
_NO_PROTOCOL: Final = "none"
_COUNTED: Final = frozenset({Token, Action, ToolResult, Restarted, Error, RunFinished})


class MetricsObserver:
    def __init__(self, families: Families) -> None:
        self._families: Final = families
        self._tools: Final = BoundedNames()
        self._models: Final = BoundedNames()
        self.delay: Final[Callable[[float], None]] = families.delays.of().add

    def request(self, request_id: str, method: str, route: str, headers: Mapping[str, str]) -> "_RequestMetrics":
        return _RequestMetrics(self._families, method, route)

    def run(self, run_id: str, *, model: str, question: str, conversation: str | None, protocol: str) -> "_RunMetrics":
        self._families.asked.of(protocol or _NO_PROTOCOL).add()
        return _RunMetrics(self._families, self._tools)

    def model_call(self, name: str, *, model: str, provider: str, agent: str | None) -> "_CallMetrics":
        return _CallMetrics(self._families, self._models(name))

    def auxiliary(self, kind: str, *, by: str) -> None:
        self._families.auxiliary.of(kind, by).add()

    def viewer_evicted(self) -> None:
        self._families.evictions.of().add()


class _Watch:
    """Its own context: a generator for each would take 0.4 KiB of a live stream."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do: what has happened was told."""


class _RequestMetrics(_Watch):
    __slots__ = ("_began_at", "_families", "_method", "_route")

    def __init__(self, families: Families, method: str, route: str) -> None:
        self._families = families
        self._method = method if method in _METHODS else OTHER
        self._route = route.replace("//", "/").removeprefix("/api")  # count a route's other paths as the same
        self._began_at = time.monotonic()

    def answered(self, status: int, run_id: str | None) -> None:
        self._families.first_byte.of(self._route).add(time.monotonic() - self._began_at)
        self._families.requests.of(self._route, self._method, str(status)).add()


class _RunMetrics(_Watch):
    """The team is known only after `chose`."""

    __slots__ = ("_began_at", "_bounded", "_families", "_team", "_tools")

    def __init__(self, families: Families, tools: BoundedNames) -> None:
        self._families = families
        self._bounded = tools
        self._team = _NO_TEAM
        self._began_at = time.monotonic()
        self._tools: dict[str, tuple[str, float]] = {}
        """Tool calls without an answer yet, by the call's id: the tool's name, and when it was called."""

    def chose(self, team: str) -> None:
        self._team = team

    def event(self, event: Event) -> None:
        if type(event) not in _COUNTED:
            return
        match event:
            case Token():
                self._families.run_first_token.of(self._team).add(time.monotonic() - self._began_at)
            case Action():
                self._tools[event.call_id] = self._bounded(event.tool), time.monotonic()
            case ToolResult():
                self._answered(event)
            case Restarted():
                self._families.restarts.of().add()
            case Error():
                self._families.run_errors.of(self._team, event.code).add()
            case RunFinished():
                self._finished(event)

    def _answered(self, result: ToolResult) -> None:
        tool, called_at = self._tools.pop(result.call_id, (None, 0.0))
        if tool is not None:
            self._families.tools.of(tool, "error" if result.is_error else "ok").add()
            self._families.tool_s.of(tool).add(time.monotonic() - called_at)

    def _finished(self, finished: RunFinished) -> None:
        families, team = self._families, self._team
        families.runs.of(team, finished.reason).add()
        families.run_s.of(team).add(finished.duration_s)
        families.run_tokens.of(team, "prompt").add(finished.usage.prompt_tokens)
        families.run_tokens.of(team, "completion").add(finished.usage.completion_tokens)
        for tool, _ in self._tools.values():
            families.tools.of(tool, "unanswered").add()


class _CallMetrics(_Watch):
    __slots__ = ("_began_at", "_families", "_model")
    headers: Final[Mapping[str, str]] = MappingProxyType({})

    def __init__(self, families: Families, model: str) -> None:
        self._families = families
        self._model = model
        self._began_at = time.monotonic()

    def retried(self, reason: str) -> None:
        self._families.retries.of(self._model, reason).add()

    def first_token(self) -> None:
        self._families.call_first_token.of(self._model).add(time.monotonic() - self._began_at)

    def ended(self, usage: TokenCount, finish_reason: str) -> None:
        reason = "tool_calls" if finish_reason == "function_calls" else finish_reason
        self._families.call_endings.of(self._model, reason if reason in FINISH_REASONS else OTHER).add()
        self._over("ok", usage)

    def failed(self, code: str, usage: TokenCount) -> None:
        if code == "cancelled":
            self._over("cancelled", usage)
            return
        self._families.call_errors.of(self._model, code).add()
        self._over("error", usage)

    def _over(self, outcome: str, usage: TokenCount) -> None:
        families, model = self._families, self._model
        families.calls.of(model, outcome).add()
        families.call_s.of(model).add(time.monotonic() - self._began_at)
        families.call_tokens.of(model, "prompt").add(usage.prompt_tokens)
        families.call_tokens.of(model, "completion").add(usage.completion_tokens)
