"""Programs and files that some tests need and pip does not install: `@needs("nginx")`, in fixtures `require("nginx")`.

Where one is missing, its tests are skipped, and the end of the run says in one line which command fetches it. With
AIOSTREAM_REQUIRE_ALL=1 its tests fail instead, so that a continuous integration run cannot skip them unnoticed.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[2]
_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aiostream-server"
_PREFIX: Final = "NOT TESTED: "

SMOLLM2: Final = _CACHE / "SmolLM2-135M-Instruct.Q4_1.gguf"
GALLERY: Final = _CACHE / "studio" / "gallery.json"
CLIENTS: Final = _CACHE / "clients"
"""A folder for each client library of `tests/clients`."""


def _has_clients() -> bool:
    wanted = (_ROOT / "tests" / "clients" / "environments").iterdir()
    return all((CLIENTS / source.stem / ".made").exists() for source in wanted)


def find_program(name: str) -> str | None:
    """The path of a program: in .venv/bin, on PATH, or in /usr/sbin."""
    return shutil.which(name, path=os.pathsep.join((f"{_ROOT}/.venv/bin", os.environ.get("PATH", ""), "/usr/sbin")))


def find_postgres() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, the newest version first."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]), reverse=True
    )
    found = installed[0] if installed else find_program("pg_ctl")
    return Path(found).parent if found else None


REDIS_PROGRAMS: Final[Mapping[str, Callable[[], str | None]]] = {
    "redis": lambda: find_program("redis-server"),
    "valkey": lambda: shutil.which("valkey-server", path=f"{_CACHE / 'valkey'}:{os.environ.get('PATH', '')}"),
    "redis-6.2": lambda: shutil.which("redis-server", path=str(_CACHE / "redis-6.2")),
}
"""The server's program of each kind; the last one is the oldest version that is supported."""


def _finds_redis(kind: str) -> Callable[[], object]:
    return lambda: REDIS_PROGRAMS[kind]() and find_spec("redis")


_FOUND: Final[Mapping[str, Callable[[], object]]] = {
    "postgres": find_postgres,
    **{kind: _finds_redis(kind) for kind in REDIS_PROGRAMS},
    "pgbouncer": lambda: find_program("pgbouncer"),
    "nginx": lambda: find_program("nginx"),
    "caddy": lambda: find_program("caddy"),
    "sqlite3": lambda: find_program("sqlite3"),
    "curl": lambda: find_program("curl"),
    "promtool": lambda: find_program("promtool"),
    "systemd": lambda: find_program("systemd-socket-activate"),
    "smollm2": lambda: SMOLLM2.exists() and find_spec("xllamacpp"),
    "gallery": GALLERY.exists,
    "clients": _has_clients,
    "browser": lambda: Path("/usr/bin/chromium").exists() and find_spec("playwright"),
}
"""Each name is also an argument of scripts/dev/fetch."""


def needs(name: str) -> pytest.MarkDecorator:
    """Marks tests that cannot run without `name`."""
    assert name in _FOUND, f"{name} is not one of {', '.join(_FOUND)}"
    return pytest.mark.needs(name)


def require(name: str) -> None:
    """Skip the running test where `name` is missing, or fail it with AIOSTREAM_REQUIRE_ALL=1."""
    if not _FOUND[name]():
        reason = f"{_PREFIX}{name} is missing; scripts/dev/fetch {name}"
        if os.environ.get("AIOSTREAM_REQUIRE_ALL") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def require_marked(item: pytest.Item) -> None:
    """Apply the `needs` markers of one test."""
    for marker in item.iter_markers("needs"):
        require(*marker.args)


def missing_lines(reports: list[pytest.TestReport]) -> list[str]:
    """One line for each missing thing, from the reports of the skipped tests."""
    reasons = [str(report.longrepr[2]) for report in reports if isinstance(report.longrepr, tuple)]
    found = Counter(reason.partition(_PREFIX)[2] for reason in reasons if _PREFIX in reason)
    return [f"{_PREFIX}{count} tests, because {reason}" for reason, count in sorted(found.items())]
