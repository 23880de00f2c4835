"""Logs: one line per event on stderr, JSON for machines, columns for a terminal.

structlog writes to the standard library's handler directly, without a LogRecord per line: 13 us instead of 28. No
prompt, answer or key is written at info level, and no traceback shows a frame's locals.
"""

import json
import logging
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.processors import NAME_TO_LEVEL, ExceptionRenderer, JSONRenderer, TimeStamper, add_log_level
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, Processor

# AutoGen's loggers write whole prompts at every level; a run logs what fails in its team.
# MCP's write the output of servers, and tracebacks of lost connections; `teams.tools.mcp` logs what matters of it.
_SILENCED: Final = ("autogen_core", "autogen_core.events", "autogen_agentchat", "autogen_agentchat.events", "mcp")
_OURS: Final = "aiostream_server"
_LEFT: Final = "ClientConnectionResetError"  # of aiohttp, which is not imported for logging alone
_as_dicts: Final = ExceptionDictTransformer(show_locals=False)


def configure_logging(
    level: str,
    log_format: Literal["auto", "json", "text"],
    *,
    worker: int | None = None,
    traced: bool = False,
    only: Collection[str] = (),
) -> None:
    """Take over the root logger. `auto` is text on a terminal, JSON elsewhere.

    Every line carries `worker`, if there are workers, and if `traced` the ids of its trace and span. `only`: drop all
    other events.
    """
    is_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,  # request_id and run_id
        add_log_level,
        TimeStamper(fmt="iso", utc=True),
    ]
    if worker is not None:
        shared.append(lambda _, __, event: {"worker": worker, **event})
    if traced:
        from aiostream_server.service.tracing.context import add_trace_ids  # needs no extra: AutoGen brings its API

        shared.append(add_trace_ids)
    render = _renderers(is_text)
    handler = logging.StreamHandler()
    named = structlog.stdlib.LoggerFactory(ignore_frame_names=[__name__])
    structlog.configure(
        processors=[_drop_minor, *([_drop_all_but(only)] if only else []), *shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: _LineWriter(named(*names), handler),
        cache_logger_on_first_use=True,
    )
    without_meta = ProcessorFormatter.remove_processors_meta
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=shared, processors=[without_meta, *render]))
    # Libraries write URLs, with keys in them, at info: only their warnings are logged.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    logging.getLogger(_OURS).setLevel(level.upper())
    for name in _SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("aiohttp.server").addFilter(_without_bad_requests)


def follow_the_programs_logging() -> None:
    """For a program that embeds the server: log to `logging`'s logger `aiostream_server`. If the program has configured
    structlog, nothing is changed."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.KeyValueRenderer(key_order=["event"], repr_native_str=False),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _renderers(is_text: bool) -> list[Processor]:
    if is_text:
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    return [ExceptionRenderer(_exception_as_dicts), JSONRenderer(_json_text)]


def _exception_as_dicts(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """Without the frames' locals. Reading an exception may raise SystemExit, which must not leave the log."""
    try:
        return _as_dicts(exc_info)
    except BaseException as unreadable:
        why = f"its text cannot be read ({type(unreadable).__name__})"
        return [{"exc_type": exc_info[0].__name__, "exc_value": why}]


def _json_text(event: EventDict, default: Callable[[object], object]) -> str:
    """As `json.dumps`, which makes an encoder for each line."""
    return _encoder(default).encode(event)


@lru_cache
def _encoder(default: Callable[[object], object]) -> json.JSONEncoder:
    return json.JSONEncoder(default=default)


class _LineWriter:
    """Where structlog writes the lines of one logger. A line that cannot be written, because of a full disk or a closed
    pipe, is lost, as in the standard library: no run fails for it."""

    def __init__(self, logger: logging.Logger, handler: logging.StreamHandler[TextIO]) -> None:
        self.least_level: Final = logger.getEffectiveLevel()
        self._handler = handler

    def write(self, line: str) -> None:
        handler = self._handler
        handler.acquire()
        try:
            with suppress(OSError, ValueError, AttributeError):  # AttributeError: stderr is None
                handler.stream.write(f"{line}{handler.terminator}")
                handler.stream.flush()
        finally:
            handler.release()

    debug = info = warning = error = critical = write


def _drop_minor(lines: _LineWriter, method: str, event: EventDict) -> EventDict:
    """Drop lines below the logger's level. A team's own structlog loggers are logged from warnings on."""
    if NAME_TO_LEVEL[method] < lines.least_level:
        raise structlog.DropEvent
    return event


def _drop_all_but(events: Collection[str]) -> Processor:
    def drop(_: _LineWriter, __: str, event: EventDict) -> EventDict:
        if event["event"] not in events:
            raise structlog.DropEvent
        return event

    return drop


def _without_bad_requests(record: logging.LogRecord) -> bool:
    """aiohttp logs a traceback for every malformed request, and for a client that leaves before `100 Continue`.

    A client could fill the log so.
    """
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not (kind.__module__ == "aiohttp.http_exceptions" or kind.__name__ == _LEFT)
