"""The files that a configuration names."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from aiostream_server.config.model import Config


def files_of(config: Config) -> frozenset[Path]:
    """Every file and folder that one of its keys names: keys, components, teams, secrets, certificates. What stands in
    a URL is none of them."""
    return frozenset(_paths_in(config))


def _paths_in(value: object) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _paths_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _paths_in(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _paths_in(each)
