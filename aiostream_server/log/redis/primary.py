"""Finds the one server that takes the writes, and connects to it: a single Redis, the primary that Sentinels name, or
the node of a cluster that has the keys. They all begin with one hash tag, so one node has them all.

A failover is noticed by a call that fails; `lease` then asks here where the primary is now.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from redis import ConnectionPool, Redis
from redis import UnixDomainSocketConnection as BlockingSocketConnection
from redis.asyncio import BlockingConnectionPool, Connection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import MovedError, RedisError, ResponseError
from redis.retry import Retry

from aiostream_server.config.redis_url import RedisUrl
from aiostream_server.log.redis.check import check_server
from aiostream_server.log.redis.failures import UnusableRedis
from aiostream_server.log.redis.tls import AsyncTlsConnection, SyncTlsConnection, TlsContext

Address: TypeAlias = tuple[str, int]
"""Host and port; of a socket `("", 0)`."""

_ASK_S: Final = 0.5
"""How long one Sentinel or node may take to answer: the next one is asked then, before the lease is over."""
_MAX_OTHERS: Final = 32
_CLOSED: Final = (ConnectionFailed,)  # a connection that Redis has closed meanwhile is opened again, once


class Primary:
    """Blocks, and is for one thread at a time, but `pool`. What it cannot do raises `RedisError` or `OSError`;
    `UnusableRedis` where the server or its user is not one to work with."""

    def __init__(self, url: RedisUrl, base: str) -> None:
        self._url: Final = url
        self._base: Final = base
        self._hosts: Final = list(url.hosts)
        self._others: tuple[Address, ...] = ()
        """Nodes of the cluster that the URL does not name."""
        self._tls: Final = TlsContext(url) if url.is_tls else None

    def connect(self, timeout_s: float) -> tuple[Address, Redis]:
        """Find it. The client connects with its first call."""
        address = self._find(timeout_s)
        return address, self._client(address, timeout_s)

    def check(self, client: Redis) -> None:
        """Whether it can be used."""
        check_server(client, self._base, is_cluster=self._url.kind == "cluster")

    def check_once(self, timeout_s: float) -> Address:
        """Find it, and check it on a connection of its own."""
        address, client = self.connect(timeout_s)
        with client:
            self.check(client)
        return address

    def pool(self, address: Address, timeout_s: float, max_connections: int) -> BlockingConnectionPool:
        """Connections for the event loop."""
        kinds = {"socket": UnixDomainSocketConnection}
        kind = kinds.get(self._url.kind, AsyncTlsConnection if self._tls else Connection)
        context = {} if self._tls is None else {"context": self._tls.latest}
        return BlockingConnectionPool(
            connection_class=kind,
            max_connections=max_connections,
            timeout=timeout_s,
            retry=AsyncRetry(NoBackoff(), 1, supported_errors=_CLOSED),
            **self._arguments(address, timeout_s),
            **context,
        )

    def _find(self, timeout_s: float) -> Address:
        if self._url.kind == "socket":
            return "", 0
        if self._url.kind == "server":
            return self._hosts[0]
        ask = self._ask_sentinel if self._url.kind == "sentinel" else self._ask_node
        return self._first_answer(ask, min(timeout_s, _ASK_S))

    def _first_answer(self, ask: Callable[[Address, float], Address], timeout_s: float) -> Address:
        failures: list[Exception] = []
        for host in (*self._hosts, *self._others):
            try:
                address = ask(host, timeout_s)
            except (RedisError, OSError) as exc:
                failures.append(exc)
            else:
                if host in self._hosts:
                    self._hosts.remove(host)
                    self._hosts.insert(0, host)  # it is asked first next time
                return address
        raise next((exc for exc in failures if not isinstance(exc, ConnectionFailed | OSError)), failures[0])

    def _ask_sentinel(self, host: Address, timeout_s: float) -> Address:
        url = self._url
        with self._client(host, timeout_s, url.sentinel_username, url.sentinel_password, db=0) as client:
            try:
                found = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", url.service)
            except ResponseError as exc:
                if "unknown command" in str(exc).lower():
                    raise UnusableRedis("this is no Sentinel: for one Redis write redis://host:6379") from exc
                raise
        if not found:
            raise UnusableRedis(f"the Sentinels know no service {url.service!r}")
        name, port = found
        return name.decode(), int(port)

    def _ask_node(self, host: Address, timeout_s: float) -> Address:
        with self._client(host, timeout_s) as client:
            self._learn_others(client, host)
            try:
                client.execute_command("EXISTS", f"{self._base}probe")
            except MovedError as moved:
                return moved.host or host[0], moved.port
        return host

    def _learn_others(self, client: Redis, host: Address) -> None:
        """For the time when none of the nodes that the URL names is left."""
        with suppress(ResponseError):  # the user may not ask
            found = {
                ((node[0] or b"").decode() or host[0], int(node[1]))
                for _, _, *nodes in client.execute_command("CLUSTER", "SLOTS")
                for node in nodes
            }
            self._others = tuple(sorted(found.difference(self._hosts)))[:_MAX_OTHERS]

    def _client(
        self, address: Address, timeout_s: float, username: str | None = None, password: str | None = None, **more: int
    ) -> Redis:
        arguments = self._arguments(address, timeout_s) | more
        if "db" in more:  # a Sentinel, with a user of its own
            arguments |= {"username": username, "password": password}
        if self._tls is not None:
            arguments |= {"connection_class": SyncTlsConnection, "context": self._tls.get()}
        elif self._url.kind == "socket":
            arguments["connection_class"] = BlockingSocketConnection
        # No retry: a lost connection tells that Redis has restarted, perhaps without its latest data.
        pool = ConnectionPool(retry=Retry(NoBackoff(), 0), **arguments)
        client = Redis(connection_pool=pool, single_connection_client=True)
        client.auto_close_connection_pool = True
        return client

    def _arguments(self, address: Address, timeout_s: float) -> dict[str, Any]:
        """What redis-py's clients and pools have in common."""
        url = self._url
        arguments: dict[str, Any] = {
            "username": url.username,
            "password": url.password,
            "db": url.db,
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "protocol": 2,
        }
        if url.kind == "socket":
            return arguments | {"path": url.path}
        return arguments | {"host": address[0], "port": address[1]}
