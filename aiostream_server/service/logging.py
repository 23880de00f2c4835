"""Logs: one line per event on stderr, JSON for machines, columns for a terminal.

structlog and the standard library's loggers end in the same handler. No prompt, answer or key is written at info level,
and no traceback shows a frame's locals.
"""

import logging
import sys
from typing import Final, Literal

import structlog
from structlog.processors import ExceptionRenderer, JSONRenderer, TimeStamper, add_log_level
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

# AutoGen's write whole prompts, at every level; what fails in a team is logged by the run.
_SILENCED: Final = ("autogen_core", "autogen_core.events", "autogen_agentchat", "autogen_agentchat.events")
_OURS: Final = "aiostream_server"


def configure_logging(level: str, log_format: Literal["auto", "json", "text"], *, worker: int | None = None) -> None:
    """Take over the root logger. `auto` is text on a terminal, JSON elsewhere. Every line carries `worker`, if any."""
    is_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,  # request_id and run_id
        add_log_level,
        TimeStamper(fmt="iso", utc=True),
    ]
    if worker is not None:
        shared.append(lambda _, __, event: {"worker": worker, **event})
    structlog.configure(
        processors=[*shared, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=shared, processors=_renderers(is_text)))
    # Libraries write URLs, keys in them included, at info: from them only warnings are taken.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(_OURS).setLevel(level.upper())
    for name in _SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("aiohttp.server").addFilter(_without_bad_requests)


def _renderers(is_text: bool) -> list[Processor]:
    meta = ProcessorFormatter.remove_processors_meta
    if is_text:
        plain = structlog.dev.plain_traceback
        return [meta, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    without_locals = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    return [meta, without_locals, JSONRenderer()]


def _without_bad_requests(record: logging.LogRecord) -> bool:
    """aiohttp writes a whole traceback for every malformed request: anybody could fill the log."""
    return not (record.exc_info and record.exc_info[0] and record.exc_info[0].__module__ == "aiohttp.http_exceptions")
