"""Connections in the shapes of hosts, on a real PostgreSQL that admits TLS only, with an authority of its own."""

import asyncio
import os
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg
import pytest
import trustme
from sqlalchemy import make_url

from aiostream_server.config.channel_binding import ScramPlus, hashed_certificate
from aiostream_server.config.model import ConversationsConfig, DatabaseConfig
from aiostream_server.errors import ConfigError
from aiostream_server.store.conversations import open_conversations
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed
from tests.kit.needs import find_postgres, needs, require
from tests.kit.postgres import Cluster, running_cluster
from tests.kit.process import free_port
from tests.kit.tls import make_files
from tests.kit.waiting import wait_for
from tests.tools import opening

opened = partial(opening.opened, name="sales")

pytestmark = needs("postgres")

HBA: Final = """
local all tester scram-sha-256
local all passwordless trust
hostssl all all 127.0.0.1/32 scram-sha-256
"""
ODD_PASSWORD: Final = "p@ss:w/rd%?#é"
ROLES: Final = f"""
CREATE ROLE "postgres.ref" LOGIN PASSWORD '{ODD_PASSWORD}';
CREATE ROLE reader LOGIN PASSWORD 'reader1';
CREATE ROLE passwordless LOGIN;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO "postgres.ref", reader;
CREATE FUNCTION public.stubborn() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        BEGIN
            PERFORM pg_sleep(0.05);
        EXCEPTION WHEN query_canceled THEN NULL;
        END;
    END LOOP;
END $$;
CREATE VIEW public.stubborn_view AS SELECT public.stubborn() AS n;
GRANT SELECT ON public.stubborn_view TO reader;
"""
ENDLESS: Final = "SELECT count(*) FROM order_items a, order_items b, order_items c WHERE a.id + b.id = c.id * random()"


@dataclass(frozen=True, slots=True)
class Host:
    cluster: Cluster
    authority: Path
    stranger: Path
    """The certificate of an authority that did not issue the server's."""

    def url(self, parameters: str = "", user: str = "tester", password: str | None = None, host: str = "") -> str:
        url = make_url(self.cluster.url).set(username=user, password=password or self.cluster.password)
        bare = url.set(host=host or "localhost").render_as_string(hide_password=False)
        return f"{bare}?{parameters}" if parameters else bare


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    require("postgres")
    binaries, folder = find_postgres(), tmp_path_factory.mktemp("tls")
    assert binaries is not None
    files, other = make_files(folder), make_files(folder, "stranger")
    tls = {"server.crt": files.certificate, "server.key": files.key}
    with running_cluster(binaries, "ssl=on", hba=HBA, files=tls) as cluster:
        cluster.load(ROLES)
        yield Host(cluster, files.authority, other.authority)


SHAPES: Final[dict[str, Callable[[Host], str]]] = {
    "Neon": lambda host: host.url("sslmode=require&channel_binding=require"),
    "Neon, verified": lambda host: host.url(
        f"sslmode=verify-full&sslrootcert={host.authority}&channel_binding=require"
    ),
    "Supabase": lambda host: host.url("sslmode=require&pgbouncer=true", user="postgres.ref", password=ODD_PASSWORD),
    "RDS": lambda host: host.url(f"sslmode=verify-full&sslrootcert={host.authority}"),
    "Cloud SQL": lambda host: (
        f"postgresql://tester:{host.cluster.password}@/postgres?host={host.cluster.folder}&port={host.cluster.port}"
    ),
    "socket as host": lambda host: (
        f"postgresql://tester:{host.cluster.password}@{str(host.cluster.folder).replace('/', '%2F')}"
        f"/postgres?port={host.cluster.port}"
    ),
    "two hosts, the first one down": lambda host: (
        f"postgresql://tester:{host.cluster.password}@localhost:{free_port()},localhost:{host.cluster.port}"
        "/postgres?sslmode=require&target_session_attrs=read-write"
    ),
    "without sslmode": lambda host: host.url("application_name=reports&connect_timeout=5&keepalives=1"),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_hosts_url_is_followed_for_databases_and_conversations(host: Host, shape: str) -> None:
    url = SHAPES[shape](host)
    async with opened(url) as database:
        assert (await database.ask("SELECT count(*) FROM orders")).rows == ((1280,),)
        encrypted = await database._run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert encrypted.rows == ((not ("socket" in shape or shape == "Cloud SQL"),),)
    if "Supabase" not in shape:  # that role makes no tables
        kept = url.replace("/postgres?", "/kept?")
        async with open_conversations(ConversationsConfig(url=kept), Path("/nowhere")) as store:
            assert store is not None


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ("sslmode=verify-ca&sslrootcert={stranger}", "its certificate was not issued by an authority that sslrootcert"),
        ("sslmode=require&sslrootcert={stranger}", "its certificate was not issued by an authority that sslrootcert"),
        ("sslmode=verify-full&sslrootcert=system", "its certificate was not issued by an authority that sslrootcert"),
        ("sslmode=disable", "it asks for TLS: write sslmode=require in the URL"),
        (
            "sslmode=require&target_session_attrs=read-only",
            "none of its hosts is of the kind that target_session_attrs",
        ),
        ("sslmode=verify-full", "sslmode=verify-full needs sslrootcert in the URL"),
        ("service=nowhere", "the service nowhere is not in the service file"),
    ],
)
async def test_what_is_wrong_is_told_in_plain_words(host: Host, parameters: str, sentence: str) -> None:
    url = host.url(parameters.format(stranger=host.stranger))
    with pytest.raises(DatabaseUnreachable, match=sentence) as caught:
        await Database.open("sales", DatabaseConfig(url=url))
    with pytest.raises(ConfigError, match=sentence) as conversations:
        async with open_conversations(ConversationsConfig(url=url), Path("/nowhere")):
            pass
    for text in (str(caught.value), str(conversations.value)):
        assert host.cluster.password not in text
    assert "localhost" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


async def test_a_certificate_for_another_host_is_refused(host: Host) -> None:
    """`make_files` names localhost and 127.0.0.1 only."""
    url = host.url(f"sslmode=verify-full&sslrootcert={host.authority}", host="127.0.0.2")
    with pytest.raises(DatabaseUnreachable, match=r"another (host|address)|nothing answers"):
        await Database.open("sales", DatabaseConfig(url=url))


@pytest.mark.parametrize("password", ["wrong", "p\u00e4ss"])
async def test_a_wrong_password_is_wrong_with_a_bound_channel_too(host: Host, password: str) -> None:
    url = make_url(host.url("sslmode=require&channel_binding=require")).set(password=password)
    with pytest.raises(DatabaseUnreachable, match="password authentication failed"):
        await Database.open("sales", DatabaseConfig(url=url.render_as_string(hide_password=False)))


async def test_a_server_without_tls_cannot_bind_the_channel(postgres_url: str) -> None:
    with pytest.raises(DatabaseUnreachable, match="it offers no TLS, which sslmode in the URL asks for"):
        await Database.open("sales", DatabaseConfig(url=f"{postgres_url}?channel_binding=require"))


def test_the_proof_is_that_of_the_rfc() -> None:
    """The example of RFC 7677, section 3, but for the binding, which it does not have."""
    scram = ScramPlus("pencil", _certificate(), "rOprNGfwEbeRWgbNEkqO")
    scram._binding, scram._bare = b"biws", b"n=user,r=rOprNGfwEbeRWgbNEkqO"  # type: ignore[misc]
    challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert scram.proof(challenge).endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    with pytest.raises(Exception, match="did not prove"):
        scram.check(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def _certificate() -> bytes:
    made = trustme.CA().issue_cert("localhost").cert_chain_pems[0].bytes()
    return ssl.PEM_cert_to_DER_cert(made.decode())


@pytest.mark.parametrize("damage", [b"", b"\x30", b"\x30\x82\xff\xff", b"\x30\x03\x02\x01\x01", b"\x00" * 40])
def test_what_is_no_certificate_is_refused(damage: bytes) -> None:
    with pytest.raises(Exception, match="certificate"):
        hashed_certificate(damage)


async def test_passwords_come_from_a_passfile_too(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"localhost:{host.cluster.port}:*:tester:{host.cluster.password}\n")
    passfile.chmod(0o600)
    url = f"postgresql://tester@localhost:{host.cluster.port}/postgres?sslmode=require"
    async with opened(f"{url}&passfile={passfile}") as database:
        assert (await database.ask("SELECT 1")).rows == ((1,),)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    async with opened(url) as database:
        assert (await database.ask("SELECT 1")).rows == ((1,),)


async def test_a_service_is_followed(host: Host, tmp_path: Path) -> None:
    services = tmp_path / "services.conf"
    services.write_text(
        f"[sales]\nhost=localhost\nport={host.cluster.port}\nuser=tester\npassword={host.cluster.password}\n"
        f"dbname=kept\nsslmode=require\n"
    )
    async with opened(f"postgresql:///?service=sales&servicefile={services}") as database:
        assert (await database._run("SELECT current_database()")).rows == (("kept",),)


async def test_a_proxy_gets_the_options_that_are_no_settings(postgres_url: str) -> None:
    """Neon's reads `endpoint=...` and keeps it from the server, which would refuse it."""
    seen: list[bytes] = []
    server = make_url(postgres_url)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        fields = startup[4:].rstrip(b"\0").split(b"\0")
        named = dict(zip(fields[::2], fields[1::2], strict=True))
        seen.append(named.pop(b"options", b""))
        body = startup[:4] + b"".join(k + b"\0" + v + b"\0" for k, v in named.items()) + b"\0"
        back, forth = await asyncio.open_connection("127.0.0.1", server.port)
        forth.write((len(body) + 4).to_bytes(4) + body)
        await asyncio.gather(_copy(reader, forth), _copy(back, writer))

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as proxy:
        url = server.set(port=proxy.sockets[0].getsockname()[1]).render_as_string(hide_password=False)
        query = "sslmode=disable&options=endpoint%3Dep-cool-1%20-c%20search_path%3Dcrm"
        async with opened(f"{url}?{query}", schemas=("public",)) as database:
            assert (await database._run("SELECT current_setting('search_path')")).rows == (("crm",),)
    assert {*seen} == {b"endpoint=ep-cool-1"}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(64 * 1024):
        writer.write(piece)
    writer.close()


async def test_a_restart_breaks_only_what_runs(host: Host) -> None:
    """What runs fails with a sentence that says so. The next statements work, forty of them at once."""
    async with opened(host.url("sslmode=require")) as database:
        await asyncio.gather(*(database.ask("SELECT 1") for _ in range(10)))
        running = asyncio.create_task(database._run(ENDLESS))
        admin = await asyncpg.connect(host.url("sslmode=require"))
        active = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%c.id * random()%' AND pid <> pg_backend_pid()"
        )
        await wait_for(lambda: admin.fetchval(active), "the statement")
        await admin.close()
        await asyncio.to_thread(host.cluster.stop, "fast")
        with pytest.raises(DatabaseUnreachable) as caught:
            await running
        assert str(caught.value) == (
            "the database 'sales': the connection to it was lost while the statement ran: try again"
        )
        await asyncio.to_thread(host.cluster.start)
        found = await asyncio.gather(*(database.ask(f"SELECT {number}") for number in range(40)))
        assert [rows.rows for rows in found] == [((number,),) for number in range(40)]


async def test_a_statement_waits_for_a_server_that_starts(host: Host) -> None:
    async with opened(host.url("sslmode=require"), statement_timeout_s=240.0) as database:
        await asyncio.to_thread(host.cluster.stop, "fast")
        waiting = asyncio.create_task(database.ask("SELECT 1"))
        await asyncio.to_thread(host.cluster.start)
        assert (await waiting).rows == ((1,),)


@pytest.mark.parametrize("stopped_by", ["its limit", "its user"])
async def test_a_backend_that_ignores_cancels_is_terminated(host: Host, stopped_by: str) -> None:
    url = host.url("sslmode=require", user="reader", password="reader1")
    admin = await asyncpg.connect(host.url("sslmode=require"))
    left = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%stubborn_view%' AND pid <> pg_backend_pid()"
    try:
        async with opened(url, statement_timeout_s=2.0 if stopped_by == "its limit" else 60.0) as database:
            task = asyncio.create_task(database._run("SELECT * FROM stubborn_view"))
            if stopped_by == "its user":
                await wait_for(lambda: admin.fetchval(left), "the statement")
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                with pytest.raises(QueryFailed, match="took longer than 2 s"):
                    await task
            await wait_for(lambda: _none(admin, left), "the end of the backend")
            assert (await database.ask("SELECT count(*) FROM regions")).rows == ((4,),)
    finally:
        await admin.close()


async def _none(admin: asyncpg.Connection, count: str) -> bool:
    return bool(await admin.fetchval(count) == 0)


async def test_a_statement_ends_with_the_process_that_asked_it(host: Host, tmp_path: Path) -> None:
    """Killed, it can cancel nothing. The server looks for its client twice a second."""
    script = tmp_path / "ask.py"
    script.write_text(
        "import asyncio, sys\n"
        "from aiostream_server.config.model import DatabaseConfig\n"
        "from aiostream_server.tools.sql.database import Database\n"
        "async def main():\n"
        "    database = await Database.open('x', DatabaseConfig(url=sys.argv[1], statement_timeout_s=600))\n"
        "    await database._run(sys.argv[2])\n"
        "asyncio.run(main())\n"
    )
    admin = await asyncpg.connect(host.url("sslmode=require"))
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%+ 4711%' AND pid <> pg_backend_pid()"
    arguments = [str(script), host.url("sslmode=require"), ENDLESS.replace("count(*)", "count(*) + 4711")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    )
    try:
        await wait_for(lambda: admin.fetchval(running), "the statement")
        process.kill()
        await process.wait()
        await wait_for(lambda: _none(admin, running), "the end of the statement")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await admin.close()
