"""Changes a keys file: one change at a time, and no reader ever sees half of one.

Every change holds a lock on `FILE.lock` and replaces the file as a whole. The lock file stays: removing it would let
two changes in. A new keys file has mode 0600. An existing one keeps its owner and mode, so that root can add a key to a
file of the service's user.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import Key, read_keys, write_keys

_T = TypeVar("_T")


def add_key(path: Path, key: Key) -> None:
    """Store one more key, creating the file where there is none. Raises `ConfigError`."""

    def add(keys: list[Key]) -> tuple[list[Key], None]:
        if any(other.id == key.id for other in keys):
            raise ConfigError([f"{path}: the id {key.id} is taken"])
        return [*keys, key], None

    _change(path, add)


def remove_key(path: Path, key_id: str) -> tuple[Key, int]:
    """Forget one key: what it was, and how many are left. Raises `ConfigError`."""

    def remove(keys: list[Key]) -> tuple[list[Key], tuple[Key, int]]:
        found = [key for key in keys if key.id == key_id]
        if not found:
            raise ConfigError([f"{path}: no key has this id; `aiostream-server keys list` shows those there are"])
        left = [key for key in keys if key.id != key_id]
        return left, (found[0], len(left))

    return _change(path, remove)


def _change(path: Path, change: Callable[[list[Key]], tuple[list[Key], _T]]) -> _T:
    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        with _locked(target):
            try:
                before = read_keys(target)
            except FileNotFoundError:
                before = []
            after, answer = change(before)
            _replace(target, after)
            return answer
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be written: {(exc.strerror or 'no access').lower()}"]) from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, keys: Sequence[Key]) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(write_keys(keys))
            file.flush()
            _keep_access(path, descriptor)
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _keep_access(path: Path, descriptor: int) -> None:
    if not path.exists():
        return
    before = path.stat()
    if os.geteuid() == 0:
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
