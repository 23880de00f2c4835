"""Records imports, executed code and started programs with an audit hook of Python."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TOLD: Final = ("import", "exec", "compile", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "open")
_watching: list[list[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event in _TOLD:
        written = event == "open" and not str(arguments[1] or "r").startswith("r")
        if event != "open" or written:
            _watching[-1].append(f"{event} {str(arguments[0])[:80]}")


b"x".decode("utf-8-sig")  # whatever reads such a file first imports the codec
sys.addaudithook(_hear)  # for good: Python lets no hook go


@contextmanager
def watched() -> Iterator[list[str]]:
    """The records of the block."""
    seen: list[str] = []
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.pop()
