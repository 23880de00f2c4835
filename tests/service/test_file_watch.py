"""The watch reports each change once, also one that happens while a file is not among the watched ones."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from aiostream_server.service.file_watch import take_snapshots, watch
from tests.kit.waiting import wait_for


class Watched:
    """Files to watch, and how often a watch has asked for them and reported a change."""

    def __init__(self, *files: Path) -> None:
        self.files: set[Path] = {*files}
        self.asked = 0
        self.reported = 0

    def __call__(self) -> Iterable[Path]:
        self.asked += 1
        return {*self.files}

    def report(self) -> None:
        self.reported += 1

    async def until_asked_again(self) -> None:
        """Twice more: the first call may have begun before what the test did."""
        seen = self.asked
        await wait_for(lambda: self.asked >= seen + 2)


async def test_a_change_made_during_a_reload_is_reported(tmp_path: Path) -> None:
    """While a module is imported again, it is not loaded, and so its file is not among the watched ones."""
    (path := tmp_path / "team.py").write_text("one")
    watched = Watched(path)
    watching = asyncio.create_task(watch(watched, watched.report, take_snapshots(watched)))
    try:
        watched.files.remove(path)
        await watched.until_asked_again()
        path.write_text("changed")
        watched.files.add(path)
        await wait_for(lambda: watched.reported)
        await watched.until_asked_again()
        assert watched.reported == 1
    finally:
        watching.cancel()


async def test_a_file_that_is_watched_newly_is_no_change(tmp_path: Path) -> None:
    (path := tmp_path / "team.py").write_text("one")
    watched = Watched()
    watching = asyncio.create_task(watch(watched, watched.report, take_snapshots(watched)))
    try:
        watched.files.add(path)
        await watched.until_asked_again()
        assert not watched.reported
    finally:
        watching.cancel()
