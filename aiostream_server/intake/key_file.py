"""Changes a keys file: one change at a time, and no reader ever sees half of one.

Every change holds a lock on `FILE.lock` and replaces the file as a whole. The lock file stays: removing it would let
two changes in. A new keys file has mode 0600. An existing one keeps its owner and mode, so that root can add a key to a
file of the service's user.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import Key, read_keys, write_keys


def add_key(path: Path, key: Key) -> None:
    """Store one more key, creating the file where there is none. Raises `ConfigError`."""
    with _changing(path) as keys:
        if any(other.id == key.id for other in keys):
            raise ConfigError([f"{path}: the id {key.id} is taken"])
        keys.append(key)


def remove_key(path: Path, key_id: str) -> tuple[Key, int]:
    """Forget one key: what it was, and how many are left. Raises `ConfigError`."""
    with _changing(path) as keys:
        found = next((key for key in keys if key.id == key_id), None)
        if found is None:
            raise ConfigError([f"{path}: no key has this id; `aiostream-server keys list` shows those there are"])
        keys.remove(found)
    return found, len(keys)


@contextmanager
def _changing(path: Path) -> Iterator[list[Key]]:
    """The keys of the file, to be changed: they are written at the end, unless the block raises."""
    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        with _locked(target):
            try:
                keys = read_keys(target)
            except FileNotFoundError:
                keys = []
            yield keys
            _replace(target, keys)
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
