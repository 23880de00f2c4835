"""nginx in front of the servers, as `configs/nginx` sets it up but for TLS: a request each, in turn."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.processes import ROOT
from benchmarks.redis import free_port

_AROUND: Final = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
user root;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {site};
}}
"""
_START_S: Final = 10.0


@asynccontextmanager
async def nginx(folder: Path, upstreams: Sequence[int]) -> AsyncIterator[int]:
    """Its port. The forwarding headers are left out, because the servers have no keys here."""
    port = free_port()
    servers = "\n".join(f"    server 127.0.0.1:{each} max_fails=0;" for each in upstreams)
    site, config = folder / "site.conf", folder / "nginx.conf"
    site.write_text(_site(port, servers, folder), "utf-8")
    config.write_text(_AROUND.format(folder=folder, site=site), "utf-8")
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise RuntimeError("nginx is missing: scripts/dev/fetch nginx")
    with (folder / "nginx.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(program, "-c", str(config), "-p", str(folder)), stdout=log, stderr=log
        )
    try:
        await _until_listening(port, process)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()  # its workers end with it
        await process.wait()


def _site(port: int, servers: str, folder: Path) -> str:
    text = (ROOT / "configs" / "nginx" / "aiostream-server.conf").read_text("utf-8")
    for old, new in (
        (r"^server \{\n    listen 80;.*?^\}\n", ""),
        (r"^    server 127\.0\.0\.1:8000 max_fails=0;.*?$", servers),
        (r"^    listen 443 ssl.*?$", f"    listen 127.0.0.1:{port};"),
        (r"^    listen \[::\].*?$", ""),
        (r"^    ssl_.*?$", ""),
        (r"^    proxy_set_header X-.*?$", ""),
        (r"/var/log/nginx", str(folder)),
    ):
        text, count = re.subn(old, new, text, flags=re.MULTILINE | re.DOTALL)
        if not count:
            raise RuntimeError(f"configs/nginx/aiostream-server.conf has nothing like {old}")
    return text


async def _until_listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_START_S):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    raise RuntimeError("nginx ended at once")
