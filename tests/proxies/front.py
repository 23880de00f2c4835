"""A real nginx, or a real Caddy, with the example that `configs/` has for it, in front of servers of a test.

Only names of files, ports, and what a test says it replaces are not the example's. Around nginx's stands an `http` as
hostile to streams as it can be: it compresses everything.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import httpx

from tests.kit.needs import find_program, require
from tests.kit.process import free_port
from tests.kit.tls import Files
from tests.kit.waiting import DEADLINE_S

Program: TypeAlias = Literal["nginx", "caddy"]
PROGRAMS: Final[tuple[Program, ...]] = ("nginx", "caddy")
NAME: Final = "chat.example.com"
_CONFIGS: Final = Path(__file__).parents[2] / "configs"
_AROUND_NGINX: Final = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
user root;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    access_log off;
    gzip on;
    gzip_types *;
    gzip_min_length 0;
    gzip_proxied any;
    include {site};
}}
"""
_AROUND_CADDY: Final = """{
	admin off
	http_port %s
	storage file_system %s
}
"""


@dataclass(frozen=True, slots=True)
class Front:
    """A running proxy. `plain_url` is the port that sends everybody to the other one."""

    url: str
    plain_url: str
    files: Files

    def client(self, *, http2: bool, key: str = "") -> httpx.AsyncClient:
        """One that reaches it by its name, and takes whatever compression there is."""
        return httpx.AsyncClient(
            base_url=self.url,
            verify=self.files.trusting,
            http2=http2,
            http1=not http2,
            trust_env=False,
            timeout=DEADLINE_S,
            headers={"Host": NAME, **({"Authorization": f"Bearer {key}"} if key else {})},
        )


@contextmanager
def proxying(
    program: Program, upstreams: Sequence[str], folder: Path, files: Files, replaced: Mapping[str, str] | None = None
) -> Iterator[Front]:
    """`upstreams` are base URLs of servers; every key of `replaced` stands in the example."""
    require(program)
    binary = str(find_program(program))
    port, plain_port = free_port(), free_port()
    addresses = [url.removeprefix("http://") for url in upstreams]
    if program == "nginx":
        path = _write_nginx(addresses, folder, files, port, plain_port, replaced or {})
        command = [binary, "-c", str(path), "-p", str(folder)]
    else:
        path = _write_caddy(addresses, folder, files, port, plain_port, replaced or {})
        command = [binary, "run", "--adapter", "caddyfile", "--config", str(path)]
    front = Front(f"https://127.0.0.1:{port}", f"http://127.0.0.1:{plain_port}", files)
    log = folder / f"{program}.log"
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        _wait(process, front, log)
        yield front
    finally:
        process.send_signal(signal.SIGTERM)  # not to wait for streams
        process.wait(DEADLINE_S)


def _wait(process: "subprocess.Popen[bytes]", front: Front, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    with httpx.Client(verify=front.files.trusting, trust_env=False) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.get(f"{front.url}/metrics", headers={"Host": NAME}, extensions={"sni_hostname": NAME})
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return
    raise AssertionError(log.read_text())


def _write_nginx(
    addresses: Sequence[str], folder: Path, files: Files, port: int, plain_port: int, replaced: Mapping[str, str]
) -> Path:
    servers = "\n".join(f"    server {address} max_fails=0;" for address in addresses)
    site = folder / "site.conf"
    site.write_text(
        _replaced(
            (_CONFIGS / "nginx" / "aiostream-server.conf").read_text("utf-8"),
            {
                r"^    server 127\.0\.0\.1:8000 max_fails=0;": servers,
                r"^    listen 443 ssl": f"    listen 127.0.0.1:{port} ssl",
                r"^    listen 80;": f"    listen 127.0.0.1:{plain_port};",
                r"^    listen \[::\]:(80|443 ssl http2);\n": "",
                r"/etc/letsencrypt/live/chat\.example\.com/fullchain\.pem": str(files.certificate),
                r"/etc/letsencrypt/live/chat\.example\.com/privkey\.pem": str(files.key),
                r"/var/log/nginx": str(folder),
                **{re.escape(old): new for old, new in replaced.items()},
            },
        )
    )
    path = folder / "nginx.conf"
    path.write_text(_AROUND_NGINX.format(folder=folder, site=site))
    return path


def _write_caddy(
    addresses: Sequence[str], folder: Path, files: Files, port: int, plain_port: int, replaced: Mapping[str, str]
) -> Path:
    path = folder / "Caddyfile"
    text = _replaced(
        (_CONFIGS / "caddy" / "Caddyfile").read_text("utf-8"),
        {
            r"^chat\.example\.com \{": f"{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {files.certificate} {files.key}",
            r"reverse_proxy 127\.0\.0\.1:8000": f"reverse_proxy {' '.join(addresses)}",
            **{re.escape(old): new for old, new in replaced.items()},
        },
    )
    path.write_text(_AROUND_CADDY % (plain_port, folder / "storage") + text)
    return path


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    for old, new in replacements.items():
        text, times = re.subn(old, lambda _, new=new: new, text, flags=re.MULTILINE)  # type: ignore[misc]
        assert times, f"{old} does not stand in the example"
    return text
