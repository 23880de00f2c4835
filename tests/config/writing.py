"""Writing a configuration file and reading what the loader says of it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config
from aiostream_server.errors import ConfigError


def complaints(path: Path | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What the loader says of a configuration, nothing where it is right. Any other exception is a failure."""
    try:
        assert isinstance(load_config(path, environ), Config)
    except ConfigError as exc:
        return exc.problems
    return ()


def written(folder: Path, text: str) -> Path:
    path = folder / "server.toml"
    path.write_text(text, "utf-8")
    return path


def loaded(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    return load_config(written(folder, text), environ or {})


def problems(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The lines that a broken file is refused with."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, environ)
    return list(caught.value.problems)
