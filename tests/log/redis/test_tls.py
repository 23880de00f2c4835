"""TLS with Redis: one context for all connections, which trusts what the URL says and nothing else."""

import os
from pathlib import Path

import pytest

from aiostream_server.config.redis_url import parse_redis_url
from tests.kit.tls import make_files

pytestmark = pytest.mark.needs("redis")


def test_all_connections_share_a_context_until_a_file_changes(tmp_path: Path) -> None:
    from aiostream_server.log.redis.tls import AsyncTlsConnection, TlsContext

    files = make_files(tmp_path)
    names = f"ssl_ca_certs={files.authority}&ssl_certfile={files.certificate}&ssl_keyfile={files.key}"
    shared = TlsContext(parse_redis_url(f"rediss://127.0.0.1:6379/0?{names}"))
    context = shared.latest
    assert shared.get() is AsyncTlsConnection(context=context).ssl_context.get() is context
    assert len(context.get_ca_certs()) == 1, "the system's authorities are not trusted"
    make_files(tmp_path)
    os.utime(files.certificate, ns=(1, 1))
    assert shared.get() is shared.latest is not context
