"""Add tables to the end of a configuration file. Comments, order and line ends stay as they are.

The new file is loaded as a check, and then atomically replaces the old one, with the same owner and mode. A failure
changes nothing, files beside the configuration included.
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

_OTHERS: Final = 0o007
_OWNER_ONLY: Final = 0o600


def table_text(name: str, keys: Mapping[str, Value], *, of_many: bool = True) -> str:
    """The TOML of `[[name]]`, or of `[name]`, without the keys that are empty or false."""
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
    """Write the tables to the end of `path`, and the files `beside` it. Missing folders are made.

    `private`: only owner and group of `path` may read the files beside it. Raises `ConfigError`, and changes nothing.
    """
    target = Path(os.path.realpath(path))  # a symbolic link stays
    try:
        before = target.read_bytes()
        text = _with(before, tables)
        with ExitStack() as undoing:
            for file, content in beside.items():
                _add(file, content, target, undoing, private=private)
            with _replacement(target, text) as new:
                _check(new, path, environ)
                if target.read_bytes() != before:
                    raise ConfigError([f"{path}: another program changed it meanwhile: try again"])
                new.replace(target)
            undoing.pop_all()
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be written: {(exc.strerror or 'no access').lower()}"]) from None


def replace_file(path: Path, content: bytes, *, private: bool = False) -> None:
    """Replace the file atomically, with the same owner and mode; `private` as in `add_tables`. Raises `ConfigError`."""
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
        # TOML has JSON's escapes, and escapes one more character: DEL.
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
    """A temporary file beside the target. It is deleted at the end, unless it was renamed to the target."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    made = Path(name)
    try:
        _write(descriptor, content, target, private=private)
        yield made
    finally:
        made.unlink(missing_ok=True)


def _add(path: Path, content: bytes, like: Path, undoing: ExitStack, *, private: bool) -> None:
    """Write a new file with the owner and mode of `like`. Raises `FileExistsError`."""
    if not path.parent.exists():
        path.parent.mkdir()
        undoing.callback(path.parent.rmdir)
        mode = stat.S_IMODE(like.stat().st_mode)
        _give_access(path.parent, like, mode | (mode & 0o444) >> 2)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    undoing.callback(path.unlink)
    _write(descriptor, content, like, private=private)


def _write(descriptor: int, content: bytes, like: Path, *, private: bool) -> None:
    """Write and close a file. Users other than its owner get access last."""
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        mode = stat.S_IMODE(like.stat().st_mode)
        _give_access(descriptor, like, mode & ~_OTHERS if private else mode)
        os.fsync(descriptor)


def _give_access(file: int | Path, like: Path, mode: int) -> None:
    if os.geteuid() == 0:
        before = like.stat()
        os.chown(file, before.st_uid, before.st_gid)
    os.chmod(file, mode)  # noqa: PTH101 - of a descriptor, too
