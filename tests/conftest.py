"""What tests of several rooms share: one PostgreSQL for the whole session."""

import gc

import structlog

from tests.kit.postgres import postgres_url

__all__ = ["postgres_url"]

# Where `rich` is installed, structlog's own choice draws each exception with every local variable, for a second or two.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: those that collect garbage need not look through all of them each time."""
    gc.collect()
    gc.freeze()
