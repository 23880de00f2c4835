"""Whether a Redis can be used: its version, its kind, and what its user may do."""

from typing import Any, Final

from redis import Redis
from redis.exceptions import NoPermissionError, NoScriptError, ReadOnlyError, ResponseError

from aiostream_server.log.redis.failures import UnusableRedis
from aiostream_server.log.redis.scripts import CHECK, Script

_OLDEST: Final = (6, 2)
_RULE: Final = "docs/cluster.md has the ACL rule"


def run_blocking(client: Redis, base: str, script: Script, *arguments: str | int) -> Any:
    try:
        return client.execute_command("EVALSHA", script.sha, 1, base, *arguments)
    except NoScriptError:
        return client.execute_command("EVAL", script.text, 1, base, *arguments)


def check_server(client: Redis, base: str, *, is_cluster: bool) -> None:
    """Raises `UnusableRedis` where waiting does not help, else any `RedisError` or `OSError`."""
    about = _about(client)
    version = about.get("version", "")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < _OLDEST:
        raise UnusableRedis(f"Redis 6.2 or newer, or Valkey, is needed: this is {version or 'an unknown version'}")
    if about.get("mode") == "sentinel":
        raise UnusableRedis("this is a Sentinel: write redis+sentinel://host:26379/service")
    if about.get("mode") == "cluster" and not is_cluster:
        raise UnusableRedis("this Redis is a node of a cluster: write redis+cluster://host:6379")
    if about.get("role") == "replica":
        raise ReadOnlyError("the role is replica")
    if refused := run_blocking(client, base, CHECK):
        commands = ", ".join(sorted(name.decode() for name in refused))
        raise UnusableRedis(f"the user of Redis may not: {commands}; {_RULE}")
    _check_subscribing(client, base)


def _about(client: Redis) -> dict[str, str]:
    try:
        words = client.execute_command("HELLO")
    except ResponseError as exc:
        if "unknown command" in str(exc).lower():
            raise UnusableRedis("Redis 6.2 or newer, or Valkey, is needed: this one does not know HELLO") from exc
        raise
    texts = [word.decode() if isinstance(word, bytes) else "" for word in words]
    return dict(zip(texts[::2], texts[1::2], strict=False))


def _check_subscribing(client: Redis, base: str) -> None:
    with client.pubsub() as channels:
        try:
            channels.subscribe(f"{base}probe")
            channels.get_message(timeout=1.0)
        except NoPermissionError as exc:
            raise UnusableRedis(f"the user of Redis may not subscribe to {base}*; {_RULE}") from exc
