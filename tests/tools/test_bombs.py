"""No statement takes the machine: each bomb is refused, or over at its time limit, and leaves nothing behind."""

import asyncio
import os
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.dialects import DialectName
from aiostream_server.tools.sql.errors import QueryFailed
from aiostream_server.tools.sql.guard import Approved
from aiostream_server.tools.sql.shop import build_shop
from tests.kit.process import process_stat
from tests.tools.bombs import bombs

TIMEOUT_S = 0.3
AT_ONCE = 4
GROWTH_BYTES = 64 * 1024**2
STATEMENT_BYTES = 256 * 1024**2


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
async def test_every_bomb_is_contained(dialect: DialectName, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    build_shop(tmp_path / "shop.db")
    url = f"sqlite:///{tmp_path}/shop.db" if dialect == "sqlite" else request.getfixturevalue("postgres_url")
    corpus = list(bombs(dialect))
    assert len(corpus) >= 250
    assert len({shape for shape, _ in corpus}) >= 20
    database = await Database.open(
        "shop", DatabaseConfig(url=url, statement_timeout_s=TIMEOUT_S, max_statements=AT_ONCE)
    )
    outcomes: Counter[str] = Counter()
    slots = asyncio.Semaphore(AT_ONCE)

    async def explode(shape: str, sql: str) -> None:
        async with slots:
            if not isinstance(await database.check(sql), Approved):
                outcomes["refused"] += 1
                return
            started = time.monotonic()
            try:
                await database.ask(sql)
                outcomes["answered"] += 1
            except QueryFailed as exc:
                words = {"took longer": "stopped", "before it ran": "refused by its plan"}
                outcomes[next((name for part, name in words.items() if part in str(exc)), "failed")] += 1
            took.append((time.monotonic() - started, shape))

    took: list[tuple[float, str]] = []
    before, others, enough = resident_bytes(), child_pids(), asyncio.Event()
    watching = asyncio.create_task(highest_memory(dialect, url, others, enough))
    try:
        await asyncio.gather(*(explode(shape, sql) for shape, sql in corpus))
        assert resident_bytes() - before < GROWTH_BYTES
        enough.set()
        highest = await watching
        assert highest < AT_ONCE * STATEMENT_BYTES
        await nothing_is_left(dialect, url, others)
        rows = await database.ask("SELECT COUNT(*) FROM regions")
        assert rows.rows == ((4,),)
    finally:
        await database.close()
    print(
        f"{dialect}: {len(corpus)} bombs of {len({shape for shape, _ in corpus})} shapes, {dict(outcomes)}; together "
        f"never more than {highest >> 20} MiB; the longest took {max(took)[0]:.1f} s ({max(took)[1]})"
    )
    assert outcomes["refused"] > 40
    assert outcomes["stopped"] > 10


async def highest_memory(dialect: DialectName, url: str, others: set[int], enough: asyncio.Event) -> int:
    """What the processes that run the statements have for themselves, together, in bytes."""
    highest, admin = 0, await asyncpg.connect(url) if dialect == "postgres" else None
    while not enough.is_set():
        if admin is None:
            pids = list(child_pids() - others)
        else:
            found = await admin.fetch("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usesysid > 0")
            pids = [pid for (pid,) in found]
        highest = max(highest, sum(map(private_bytes, pids)))
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await enough.wait()
    if admin is not None:
        await admin.close()
    return highest


def private_bytes(pid: int) -> int:
    try:
        line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "RssAnon" in line)
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) * 1024


async def nothing_is_left(dialect: DialectName, url: str, others: set[int]) -> None:
    """Within a second of the limit, no process computes any more."""
    deadline = time.monotonic() + 30
    while left := await busy(dialect, url, others):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)


async def busy(dialect: DialectName, url: str, others: set[int]) -> list[str]:
    """The processes, or the statements, that still compute."""
    if dialect == "sqlite":
        used = cpu_of_children(others)
        await asyncio.sleep(0.2)
        return [str(pid) for pid, ticks in cpu_of_children(others).items() if ticks - used.get(pid, ticks) > 1]
    connection = await asyncpg.connect(url)
    try:
        active = "SELECT left(query, 300) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
        left = await connection.fetch(active + " AND backend_type = 'client backend'")
    finally:
        await connection.close()
    return [text for (text,) in left]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_of_children(others: set[int]) -> dict[int, int]:
    """Ticks of user time by process id, without `others`."""
    ticks = dict[int, int]()
    for pid in child_pids() - others:
        with suppress(OSError):  # it ended meanwhile
            ticks[pid] = int(process_stat(pid)[11])
    return ticks


def child_pids() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
