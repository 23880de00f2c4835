"""What becomes of spans that the collector does not take: they are lost. The log says so, but not for every batch."""

import logging
import time
from collections.abc import Sequence
from typing import Final

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_REMINDER_S: Final = 300.0
_TOLD_BY_OTHERS: Final = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")  # several lines a batch

_log = structlog.get_logger()


class TellingExporter(SpanExporter):
    """Says when spans begin to be lost, every five minutes how many so far, and when they arrive again.

    Used from the thread that sends. Spans that find the queue full (2,048; OTEL_BSP_MAX_QUEUE_SIZE) are not counted.
    """

    def __init__(self, exporter: SpanExporter, *, reminder_s: float = _REMINDER_S) -> None:
        self._exporter = exporter
        self._reminder_s = reminder_s
        self._lost = 0
        self._told_at: float | None = None
        for name in _TOLD_BY_OTHERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._arrived()
        else:
            self._failed(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def _arrived(self) -> None:
        if self._told_at is not None:
            _log.info("traces_arrive_again", lost_spans=self._lost)
            self._told_at, self._lost = None, 0

    def _failed(self, spans: int) -> None:
        self._lost += spans
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= self._reminder_s:
            self._told_at = now
            _log.warning("traces_lost", lost_spans=self._lost, note="the collector does not take them")
