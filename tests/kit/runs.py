"""The runs of a registry, seen from inside."""

from collections.abc import Sequence

from aiostream_server.intake.principal import LOCAL_OWNER, Owner
from aiostream_server.runs.directory import MemoryDirectory
from aiostream_server.runs.registry import Registry
from aiostream_server.runs.run import Run


def directory_of(registry: Registry) -> MemoryDirectory:
    directory = registry._directory
    assert isinstance(directory, MemoryDirectory)
    return directory


def runs_in(registry: Registry, owner: Owner = LOCAL_OWNER) -> Sequence[Run]:
    """An owner's runs of this process, newest first."""
    directory = directory_of(registry)
    directory.drop()
    return sorted(
        (run for run in directory._runs.values() if run.owner == owner), key=lambda run: run.created_at, reverse=True
    )


def run_in(registry: Registry, run_id: str, owner: Owner = LOCAL_OWNER) -> Run:
    (run,) = (run for run in runs_in(registry, owner) if run.id == run_id)
    return run
