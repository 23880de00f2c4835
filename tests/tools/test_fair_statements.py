"""At most 2 % of fair questions are blocked, and the rest give exactly the rows that the plain client gives."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import pytest_asyncio

from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.guard import Approved, Blocked
from tests.tools.company import answers, build_sqlite, built_postgres
from tests.tools.fair_statements import fair_statements
from tests.tools.opening import opened

MOST_BLOCKED: Final = 0.02
_ASKED: Final = 4  # each fourth is asked through everything, too
LEAST: Final = {False: 430, True: 170}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def company_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield build_sqlite(tmp_path_factory.mktemp("company") / "company.db")
        return
    with built_postgres(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest_asyncio.fixture
async def company(company_url: str) -> AsyncIterator[Database]:
    async with opened(company_url, "company", row_limit=10_000, byte_limit=4 * 1024**2) as database:
        yield database


@pytest.mark.parametrize("held_back", [False, True], ids=["tuned on", "held back"])
async def test_fair_questions_are_answered_as_the_plain_client_answers_them(
    company: Database, company_url: str, capsys: pytest.CaptureFixture[str], held_back: bool
) -> None:
    dialect = company.dialect
    statements = fair_statements(dialect, held_back=held_back)
    printed = answers(dialect, company_url, statements)
    unfair = [sql for sql, text in zip(statements, printed, strict=True) if text is None]
    assert len(unfair) < len(statements) / 50, unfair
    fair = [(sql, text) for sql, text in zip(statements, printed, strict=True) if text is not None]

    blocked: list[tuple[str, str]] = []
    passed: list[tuple[str, str, str]] = []
    for sql, text in fair:
        match await company.check(sql):
            case Approved(sql=written):
                passed.append((sql, text, written))
            case Blocked(reason=reason):
                blocked.append((sql, reason))
    with capsys.disabled():
        which = "held back" if held_back else "tuned on"
        print(f"\n{dialect}, {which}: {len(fair)} fair statements, {len(blocked)} blocked")
    assert len(fair) >= LEAST[held_back]
    assert len(blocked) <= MOST_BLOCKED * len(fair), blocked

    for sql, *_ in passed[::_ASKED]:
        await company.ask(sql)  # nothing below the guard refuses what the guard lets through
    again = answers(dialect, company_url, [written for *_, written in passed])
    for (sql, text, written), rows in zip(passed, again, strict=True):
        assert rows == text, f"{sql}\n{written}"
