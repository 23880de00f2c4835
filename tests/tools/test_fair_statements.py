"""At most 2 % of fair questions are blocked, and the rest give exactly the rows that the plain client gives."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import pytest_asyncio

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.dialects import DialectName
from aiostream_server.tools.sql.guard import Approved
from tests.tools.company import answers, build_sqlite, built_postgres
from tests.tools.fair_statements import fair_statements

MOST_BLOCKED: Final = 0.02
LEAST: Final = 400


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def company_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield build_sqlite(tmp_path_factory.mktemp("company") / "company.db")
        return
    with built_postgres(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest_asyncio.fixture
async def company(company_url: str) -> AsyncIterator[Database]:
    database = await Database.open("company", DatabaseConfig(url=company_url, row_limit=10_000, byte_limit=4 * 1024**2))
    try:
        yield database
    finally:
        await database.close()


async def test_fair_questions_are_answered_as_the_plain_client_answers_them(
    company: Database, company_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dialect: DialectName = company.dialect
    statements = fair_statements(dialect)
    printed = answers(dialect, company_url, statements)
    fair = [(sql, text) for sql, text in zip(statements, printed, strict=True) if text is not None]
    assert len(fair) >= LEAST
    unfair = [sql for sql, text in zip(statements, printed, strict=True) if text is None]
    assert len(unfair) < len(statements) / 20, unfair
    verdicts = [await company.check(sql) for sql, _ in fair]
    blocked = [
        (sql, verdict.reason)
        for (sql, _), verdict in zip(fair, verdicts, strict=True)
        if not isinstance(verdict, Approved)
    ]
    with capsys.disabled():
        print(f"\n{dialect}: {len(fair)} fair statements, {len(blocked)} blocked ({len(blocked) / len(fair):.1%})")
    assert len(blocked) <= MOST_BLOCKED * len(fair), blocked

    passed = [
        (sql, text, verdict.sql)
        for (sql, text), verdict in zip(fair, verdicts, strict=True)
        if isinstance(verdict, Approved)
    ]
    again = answers(dialect, company_url, [written for *_, written in passed])
    for (sql, text, written), rows in zip(passed, again, strict=True):
        assert rows == text, f"{sql}\n{written}"
