"""What all tests share: PostgreSQL and Redis for the session, a model provider; and the rule for what is missing."""

import gc
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from aiohttp.web_app import _cached_build_middleware
from hypothesis import HealthCheck, settings

from tests.kit import forkserver
from tests.kit.garbage import earlier_tests_are_frozen
from tests.kit.needs import missing_lines, require_marked
from tests.kit.parallel import pytest_addoption, pytest_runtestloop
from tests.kit.postgres import postgres_url
from tests.kit.redis import redis_prefix, redis_servers, shared_redis
from tests.kit.scripted_provider import ScriptedProvider

__all__ = [
    "earlier_tests_are_frozen",
    "postgres_url",
    "pytest_addoption",
    "pytest_runtestloop",
    "redis_prefix",
    "redis_servers",
    "shared_redis",
]

# Without bytecode files each worker would rewrite all tests, and each server process compile the package, anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No test calls a server outside. To read the machine's 150 authorities takes 14 ms, for each client of OpenAI's anew.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "kit" / "authority.pem")

# Collecting makes thousands of objects that live to the end: `pytest_collection_finish` switches this on again.
gc.disable()

# A shell that runs the suite in the background makes it ignore SIGINT, and the servers under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# On a busy machine one example can take long: a deadline would fail a test that promises nothing about time.
# Each run draws other examples, so that half of the usual hundred in each find the same within two.
# `pytest --hypothesis-profile=thorough` looks longer at what has just been changed.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
settings.register_profile("thorough", settings.get_profile("any machine"), max_examples=1000)
settings.load_profile("any machine")

# Where `rich` is installed, structlog's default renderer formats all local variables of an exception: seconds each.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Freezes the collected modules and tests, so that tests which collect garbage do not traverse them each time."""
    if session.config.getoption("processes") and not session.config.option.collectonly:
        forkserver.start_for_all_forks()
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    require_marked(item)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """aiohttp caches the middlewares of the last 1024 routes, and so keeps the applications of hundreds of tests: after
    some files, one full garbage collection would take 0.3 s. So it would after a test of what the server does at its
    end, which thaws all that was frozen."""
    if nextitem is None or nextitem.path == item.path:
        return
    _cached_build_middleware.cache_clear()
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in missing_lines(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line, yellow=True, bold=True)


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    """A model provider that has no answer until a test scripts one."""
    async with ScriptedProvider() as scripted:
        yield scripted
