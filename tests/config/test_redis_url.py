"""URLs of Redis: which are taken, and what is said of the others, which may hold a password."""

import pytest

from aiostream_server.config.redis_url import parse_redis_url


def test_one_server() -> None:
    url = parse_redis_url("rediss://user:p%40ss@[::1]/3?ssl_check_hostname=false")
    assert (url.kind, url.hosts, url.db, url.username, url.password) == ("server", (("::1", 6379),), 3, "user", "p@ss")
    assert (url.is_tls, url.checks_certificate, url.checks_hostname) == (True, True, False)
    socket = parse_redis_url("unix://:pw@/run/redis.sock?db=2")
    assert (socket.kind, socket.path, socket.password, socket.db) == ("socket", "/run/redis.sock", "pw", 2)


def test_sentinels_and_a_cluster() -> None:
    url = parse_redis_url("redis+sentinel://:pw@a,b:1,c:26380/mine/2?sentinel_password=other")
    assert (url.kind, url.service, url.db) == ("sentinel", "mine", 2)
    assert url.hosts == (("a", 26379), ("b", 1), ("c", 26380))
    assert (url.password, url.sentinel_password) == ("pw", "other")
    assert parse_redis_url("rediss+cluster://a:7000,b").hosts == (("a", 7000), ("b", 6379))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://secret@host", "expected a URL such as redis://"),
        ("redis://secret@a,b", "expected a URL such as redis://"),
        ("redis://:secret@host:70000", "expected a URL such as redis://"),
        ("unix://secret/path", "expected a URL such as redis://"),
        ("redis+sentinel://:secret@host", "expected a URL such as redis://"),
        ("redis://:secret@host/name", "the database is a number"),
        ("redis+cluster://:secret@host/1", "a cluster has only database 0"),
        ("redis://:secret@host?ssl_ca_certs=/x", r"no option 'ssl_ca_certs' .*TLS needs rediss://"),
        ("rediss://:secret@host?ssl_ca_certs=/no/such", "names no file"),
        ("rediss://:secret@host?ssl_cert_reqs=perhaps", "one of: required, none"),
    ],
)
def test_a_mistake_is_named_without_the_url(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_redis_url(url)
    assert "secret" not in str(caught.value)
