"""Too few file descriptors are told at the start, and later that none is left; then connections are accepted again."""

import asyncio
import resource
from pathlib import Path

import aiohttp
import pytest

from tests.kit.forkserver import fork
from tests.kit.process import ServerProcess, environment
from tests.kit.tls import make_files
from tests.kit.waiting import wait_for

LIMIT = 96
_LIMITED = f"""
import resource
from aiostream_server.__main__ import main
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
main()
"""


@pytest.mark.parametrize(("loop", "is_tls"), [("uvloop", False), ("asyncio", False), ("uvloop", True)])
async def test_a_server_without_descriptors_says_so_and_accepts_again(tmp_path: Path, loop: str, is_tls: bool) -> None:
    tls_files = make_files(tmp_path)
    path = tmp_path / "server.toml"
    tls = f'tls_certificate = "{tls_files.certificate}"\ntls_key = "{tls_files.key}"\n' if is_tls else ""
    server_table = f'[server]\nport = 0\nloop = "{loop}"\nlog_format = "json"\n{tls}'
    path.write_text(f"{server_table}[limits]\nmax_runs = 100\n", "utf-8")
    program = tmp_path / "limited.py"
    program.write_text(_LIMITED, "utf-8")
    command = (str(program), "serve", "--config", str(path))
    process = await fork(command, environment(tmp_path), stdout=1, stderr=asyncio.subprocess.PIPE)
    server = ServerProcess(process)
    idle: list[asyncio.StreamWriter] = []
    try:
        await server.until_ready()
        (few,) = await server.until_logged("descriptors_few")
        assert (few["limit"], few["needed"], few["max_runs"]) == (LIMIT, 264, 100)
        port = int(server.url.rpartition(":")[2])
        opening = [await asyncio.open_connection("127.0.0.1", port) for _ in range(LIMIT)]
        idle = [writer for _, writer in opening]
        (told,) = await server.until_logged("connections_not_accepted")
        assert (told["level"], told["limit"]) == ("warning", LIMIT)
        await asyncio.sleep(2.5)  # within the ten seconds nothing more is told, by asyncio neither
        assert len(server.named("connections_not_accepted")) == 1
        assert [line for line in server.events if line["level"] == "error"] == []
        for writer in idle:
            writer.close()

        url = f"{server.url}/healthz".replace("127.0.0.1", "localhost") if is_tls else f"{server.url}/healthz"

        async def is_served() -> bool:
            try:
                async with aiohttp.ClientSession() as session, session.get(url, ssl=tls_files.trusting) as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        await wait_for(is_served, "a connection that is accepted")
        process.terminate()
        assert await server.end() == 0
    finally:
        for writer in idle:
            writer.transport.abort()
        if process.returncode is None:
            process.kill()
            await server.end()


def test_this_machine_allows_what_the_test_needs() -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 2 * LIMIT
