"""Files of others, replaced safely."""

from pathlib import Path


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """As a whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.chmod(mode)
    unfinished.replace(path)
