"""Adding tables to the end of a configuration file that people write: comments, order and line ends stay as they are.

The file is replaced by a complete one that was loaded before, with the same owner and mode. What fails leaves
everything as it was, the files beside it included.
"""

import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from aiostream_server.config.load import load_config
from aiostream_server.config.problem_text import toml_key
from aiostream_server.errors import ConfigError

Value: TypeAlias = str | bool | Sequence[str] | Mapping[str, str]

_ANYBODY: Final = 0o007
_OWN: Final = 0o600


def table_text(name: str, keys: Mapping[str, Value], *, of_many: bool = True) -> str:
    """`[[name]]`, or `[name]`, and its keys; those that are empty or false are left out."""
    lines = [f"{toml_key(key)} = {_toml(value)}" for key, value in keys.items() if value]
    return "\n".join([f"[[{name}]]" if of_many else f"[{name}]", *lines, ""])


def add_tables(
    path: Path,
    tables: Sequence[str],
    environ: Mapping[str, str],
    beside: Mapping[Path, bytes],
    *,
    private: bool = False,
) -> None:
    """Write the tables to the end of `path`, and files `beside` it, whose folder is made where there is none.

    `private`: the files beside it are for its owner and group only. Raises `ConfigError`, and then nothing has changed.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        before = target.read_bytes()
        text = _with(before, tables)
        with ExitStack() as undoing:
            for file, content in beside.items():
                _add(file, content, target, undoing, private=private)
            with _replacement(target, text) as new:
                _check(new, path, environ)
                if target.read_bytes() != before:
                    raise ConfigError([f"{path}: somebody else is changing it: try again"])
                new.replace(target)
            undoing.pop_all()
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be written: {(exc.strerror or 'no access').lower()}"]) from None


def replace_file(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write the file anew, as a whole or not at all, for those whom it was for; `private` as above.

    Raises `ConfigError`.
    """
    target = Path(os.path.realpath(path))
    try:
        with _replacement(target, content, private=private) as new:
            new.replace(target)
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be written: {(exc.strerror or 'no access').lower()}"]) from None


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for the one character that only TOML wants escaped.
        return json.dumps(value, ensure_ascii=not value.isprintable()).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{toml_key(key)} = {_toml(item)}' for key, item in value.items())} }}"
    return f"[{', '.join(map(_toml, value))}]"


def _with(before: bytes, tables: Sequence[str]) -> bytes:
    line_end = b"\r\n" if b"\r\n" in before else b"\n"
    added = "\n".join(tables).encode().replace(b"\n", line_end)
    gap = line_end if not before or before.endswith(line_end) else line_end * 2
    return before + (gap if before else b"") + added


def _check(new: Path, path: Path, environ: Mapping[str, str]) -> None:
    try:
        load_config(new, environ)
    except ConfigError as exc:
        name = str(new)
        raise ConfigError(
            [f"{path} with the team: {problem.replace(name, path.name)}" for problem in exc.problems]
        ) from exc


@contextmanager
def _replacement(target: Path, content: bytes, *, private: bool = False) -> Iterator[Path]:
    """A file beside the target; gone afterwards, if it has not taken its place."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    made = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            mode = stat.S_IMODE(target.stat().st_mode)
            _give_access(descriptor, target, mode & ~_ANYBODY if private else mode)
            os.fsync(descriptor)
        yield made
    finally:
        made.unlink(missing_ok=True)


def _add(path: Path, content: bytes, like: Path, undoing: ExitStack, *, private: bool) -> None:
    """A new file, for whom `like` is. Raises `FileExistsError`."""
    mode = stat.S_IMODE(like.stat().st_mode)
    if not path.parent.exists():
        path.parent.mkdir()
        undoing.callback(path.parent.rmdir)
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            _give_access(descriptor, like, mode | (mode & 0o444) >> 2)
        finally:
            os.close(descriptor)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWN)  # until it is given to others
    with os.fdopen(descriptor, "wb") as file:
        undoing.callback(path.unlink)
        file.write(content)
        file.flush()
        _give_access(file.fileno(), like, mode & ~_ANYBODY if private else mode)
        os.fsync(file.fileno())


def _give_access(descriptor: int, like: Path, mode: int) -> None:
    if os.geteuid() == 0:
        before = like.stat()
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, mode)
