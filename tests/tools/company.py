"""A company in both databases, as real ones hold it, and the plain clients that questions to it are compared with.

`fair/*.schema.sql` makes it beside the demo shop's tables. PostgreSQL's plain client is psql, SQLite's is its library.
"""

import re
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from aiostream_server.tools.sql.dialects import DialectName
from aiostream_server.tools.sql.shop import SCHEMA, shop_tables
from tests.kit.needs import find_postgres

FAIR: Final = Path(__file__).with_name("fair")
_MARK: Final = re.compile(r"^<<(\d+)>>\n", re.MULTILINE)
_TIMEOUT_S: Final = 120


def build_sqlite(path: Path) -> str:
    """Make the company's file, and return its URL."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        for table, rows in shop_tables().items():
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
        connection.executescript((FAIR / "sqlite.schema.sql").read_text("utf-8"))
        connection.commit()
    return f"sqlite:///{path}"


@contextmanager
def built_postgres(url: str) -> Iterator[str]:
    """The URL of a new database with the company, on the server of `url`, which has the shop's tables."""
    there = f"{url.rpartition('/')[0]}/company"
    psql(url, "DROP DATABASE IF EXISTS company; CREATE DATABASE company TEMPLATE template0;".replace("; ", ";\n"))
    try:
        psql(url, "ALTER DATABASE company SET search_path = public, hr;")
        for table in shop_tables():
            _copy_table(url, there, table)
        psql(there, (FAIR / "postgres.schema.sql").read_text("utf-8"))
        yield there
    finally:
        psql(url, "DROP DATABASE IF EXISTS company WITH (FORCE);")


def _copy_table(url: str, there: str, table: str) -> None:
    create = next(part for part in SCHEMA.split(";") if f"CREATE TABLE {table} (" in part)
    rows = _psql(url, f"COPY {table} TO STDOUT;", "--quiet")
    psql(there, f"{create};\nCOPY {table} FROM STDIN;\n{rows}\\.\n")


def psql(url: str, script: str) -> str:
    """Run a script, and stop at its first error."""
    return _psql(url, script, "--quiet", "--set=ON_ERROR_STOP=1")


def answers(dialect: DialectName, url: str, statements: Sequence[str]) -> list[str | None]:
    """What the plain client prints for each statement, None where that is an error."""
    if dialect == "sqlite":
        with closing(sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True)) as connection:
            return [_answer(connection, sql) for sql in statements]
    script = "SET default_transaction_read_only = on;\nSET statement_timeout = '20s';\n" + "".join(
        f"{sql.rstrip().rstrip(';')};\n\\echo <<{number}>>\n" for number, sql in enumerate(statements)
    )
    parts = _MARK.split(_psql(url, script, "--quiet", "--no-align", "--pset=null=NULL"))
    printed = dict(zip(parts[1::2], parts[::2], strict=False))
    found = [printed[str(number)] for number in range(len(statements))]
    return [None if re.search(r"^(psql:.*)?(ERROR|FATAL):", text, re.MULTILINE) else text for text in found]


def _answer(connection: sqlite3.Connection, sql: str) -> str | None:
    try:
        return "\n".join(map(repr, connection.execute(sql)))
    except sqlite3.Error:
        return None


def _psql(url: str, script: str, *options: str) -> str:
    binaries = find_postgres()
    assert binaries is not None
    command = [str(binaries / "psql"), "--no-psqlrc", *options, f"--dbname={url}"]
    done = subprocess.run(
        command,
        input=script,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:]
    return done.stdout
