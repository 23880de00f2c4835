"""What can be said of a model before it is started: that its files are there, and that llama.cpp is.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from aiostream_server.config.model import LlamaCppModelConfig
from aiostream_server.config.problem_text import install_hint

_MAGIC: Final = b"GGUF"
_OLDEST_VERSION: Final = 2


def check_startable(config: LlamaCppModelConfig) -> None:
    """Raise `ValueError`, which says what is missing and what to do. Reads a few bytes."""
    if find_spec("xllamacpp") is None:
        raise ValueError(f"llama.cpp is not installed: {install_hint('local')}")
    _check_gguf(config.path)
    if config.chat_template is not None:
        read_template(config.chat_template)


def read_template(path: Path) -> str:
    """Raise `ValueError`."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"chat_template: {path} is not UTF-8 text") from None
    except OSError as exc:
        raise ValueError(f"chat_template: {path} cannot be read: {_reason(exc)}") from None


def _check_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as exc:
        raise ValueError(f"path: {path} cannot be read: {_reason(exc)}") from None
    if head[:4] != _MAGIC or len(head) < 8:
        raise ValueError(f"path: {path} is not a GGUF file: docs/local.md says where to get one")
    version = int.from_bytes(head[4:], "little")
    if not _OLDEST_VERSION <= version < 2**16:  # a big-endian file has it the other way round
        raise ValueError(f"path: {path} is a GGUF file of a version that llama.cpp does not read: {version:#x}")


def _reason(exc: OSError) -> str:
    return (exc.strerror or "unreadable").lower()
