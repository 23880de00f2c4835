"""An administrator ends a session at any moment: the server's last words may stand right behind an answer."""

import itertools
from contextlib import suppress

from sqlalchemy.engine import make_url

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable
from tests.kit.ended_sessions import EndedSessions

SQL = "SELECT COUNT(*) FROM orders"


async def test_a_statement_whose_session_ends_is_unreachable_and_the_next_is_fine(postgres_url: str) -> None:
    url = make_url(postgres_url)
    assert url.port is not None
    sessions = EndedSessions(url.port)
    unreachable = 0
    async with sessions.served() as port:
        through = url.set(host="127.0.0.1", port=port, query={**url.query, "sslmode": "disable"})
        config = DatabaseConfig.model_validate({"url": through.render_as_string(hide_password=False)})
        database = await Database.open("shop", config)
        try:
            for after in itertools.count(1):
                sessions.after = after
                with suppress(DatabaseUnreachable):
                    unreachable += 1
                    await database._run(SQL)
                    unreachable -= 1
                if sessions.after is not None:  # the session has ended well, before
                    break
                assert (await database._run(SQL)).columns == ("count",)
        finally:
            await database.close()
    assert unreachable > 10
