"""Log lines about spans that the collector refuses."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from aiostream_server.service.tracing.export import LossReportingExporter


class _Moody(SpanExporter):
    def __init__(self, *takes: bool) -> None:
        self._takes = list(takes)
        self.is_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS if self._takes.pop(0) else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.is_shut_down = True


def _logged(*takes: bool, reminder_s: float) -> list[tuple[str, int]]:
    exporter = LossReportingExporter(_Moody(*takes), reminder_s=reminder_s)
    with capture_logs() as lines:
        for _ in takes:
            exporter.export([ReadableSpan("a"), ReadableSpan("b")])
    return [(line["event"], line["lost_spans"]) for line in lines]


def test_losses_are_logged_when_they_begin_and_when_they_end() -> None:
    told = _logged(True, False, False, False, True, True, False, reminder_s=60)
    assert told == [("traces_lost", 2), ("traces_arrive_again", 6), ("traces_lost", 2)]


def test_a_reminder_is_logged_after_the_interval() -> None:
    assert _logged(False, False, reminder_s=0) == [("traces_lost", 2), ("traces_lost", 4)]


def test_shutdown_reaches_the_wrapped_exporter() -> None:
    exporter = LossReportingExporter(inner := _Moody())
    exporter.shutdown()
    assert inner.is_shut_down
