"""Every metric that is counted as it happens. Names and units: https://prometheus.io/docs/practices/naming/

Label values come from the configuration, from this program, or from `BoundedNames`; never from a user.
"""

from typing import Final, TypeVar, get_args

from prometheus_client import CollectorRegistry

from aiostream_server.events import FinishReason
from aiostream_server.service.metrics.unlocked import CounterFamily, HistogramFamily

_Family = TypeVar("_Family", CounterFamily, HistogramFamily)

_MOST_NAMES: Final = 100
OTHER: Final = "other"
FINISH_REASONS: Final = ("stop", "length", "tool_calls", "content_filter", "refusal", OTHER)

_BYTE_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TOKEN_S: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30)
_RUN_S: Final = (0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_TOOL_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_DELAY_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class BoundedNames:
    """Limits label values that come from outside: the first hundred names are kept, all others become "other"."""

    def __init__(self) -> None:
        self._known: Final[set[str]] = set()

    def __call__(self, name: str) -> str:
        if name in self._known:
            return name
        if len(self._known) >= _MOST_NAMES:
            return OTHER
        self._known.add(name)
        return name


class Families:
    """One server's metrics, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, documentation: str, *labels: str) -> CounterFamily:
            return registered(CounterFamily(f"aiostream_{name}", documentation, labels))

        def histogram(name: str, documentation: str, bounds: tuple[float, ...], *labels: str) -> HistogramFamily:
            return registered(HistogramFamily(f"aiostream_{name}", documentation, bounds, labels))

        def registered(family: _Family) -> _Family:
            registry.register(family)
            return family

        self.requests: Final = counter("http_requests_total", "Requests answered.", "route", "method", "status")
        self.first_byte: Final = histogram(
            "http_time_to_first_byte_seconds",
            "From a request's headers to those of its answer; waiting for a slot included.",
            _BYTE_S,
            "route",
        )
        self.asked: Final = counter("runs_asked_total", "Runs that began.", "protocol")
        self.runs: Final = counter("runs_total", "Runs that ended.", "team", "outcome")
        self.restarts: Final = counter("runs_restarted_total", "Runs that began again here: their process had failed.")
        self.run_errors: Final = counter("run_errors_total", "Runs that failed.", "team", "code")
        self.run_s: Final = histogram("run_duration_seconds", "Of runs, however they ended.", _RUN_S, "team")
        self.run_first_token: Final = histogram(
            "run_time_to_first_token_seconds", "From a run's start to its first token.", _TOKEN_S, "team"
        )
        self.run_tokens: Final = counter("run_tokens_total", "Tokens that runs read and wrote.", "team", "type")
        self.calls: Final = counter("model_calls_total", "Calls of models.", "model", "outcome")
        self.call_endings: Final = counter(
            "model_answers_total", "Answers of models, by how they ended.", "model", "reason"
        )
        self.call_s: Final = histogram(
            "model_call_duration_seconds", "Of calls of models, retries included.", _RUN_S, "model"
        )
        self.call_first_token: Final = histogram(
            "model_time_to_first_token_seconds", "From a call to the first thing that came.", _TOKEN_S, "model"
        )
        self.call_errors: Final = counter("model_errors_total", "Calls of models that failed.", "model", "code")
        self.retries: Final = counter("model_retries_total", "Times that a model was asked again.", "model", "reason")
        self.call_tokens: Final = counter("model_tokens_total", "Tokens that models read and wrote.", "model", "type")
        self.tools: Final = counter("tool_calls_total", "Tool calls.", "tool", "outcome")
        self.tool_s: Final = histogram("tool_duration_seconds", "From a tool call to its answer.", _TOOL_S, "tool")
        self.auxiliary: Final = counter(
            "auxiliary_answers_total", "Titles, tags and the like that were answered.", "kind", "by"
        )
        self.evictions: Final = counter("viewers_evicted_total", "Clients that did not read and were cut off.")
        self.delays: Final = histogram(
            "event_delay_seconds",
            "From an event's being said to its being given to the kernel: one write to a viewer in sixteen.",
            _DELAY_S,
        )
        self.request_waits: Final = histogram(
            "http_request_wait_seconds",
            "From the arrival of a request's last bytes in the kernel to its handler.",
            _BYTE_S,
        )

    def start_at_zero(self, teams: tuple[str, ...], models: tuple[str, ...]) -> None:
        """Create the series at 0, so that Prometheus sees the first event of each as an increase."""
        for team in teams:
            for outcome in get_args(FinishReason):
                self.runs.of(team, outcome)
        for model in models:
            for outcome in ("ok", "error", "cancelled"):
                self.calls.of(model, outcome)
            for reason in FINISH_REASONS:
                self.call_endings.of(model, reason)
