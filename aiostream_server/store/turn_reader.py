"""The thread that reads conversations: everything that was asked for meanwhile, in one query."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row
from sqlalchemy.engine import URL

from aiostream_server.store.database import ConversationsUnavailable, Link
from aiostream_server.store.schema import FIND, MAX_MEMORIES
from aiostream_server.store.team_memory import TeamMemory, memories_of
from aiostream_server.store.threads import Outcome, StoreThread, new_future


class RecallRequest:
    """A wish to read the conversation of this digest. `done` is the list of its memories, newest first."""

    __slots__ = ("done", "expired_until", "name", "wanted")

    def __init__(self, name: str, expired_until: float, wanted: Callable[[TeamMemory], bool] | None) -> None:
        self.name: Final = name
        self.expired_until: Final = expired_until
        self.wanted: Final = wanted
        self.done: Final = new_future()


class TurnReader(StoreThread):
    def __init__(self, url: URL, *, timeout_s: float) -> None:
        self._finds: list[RecallRequest] = []
        self._is_closing = False
        super().__init__(url, "conversations-reader", timeout_s=timeout_s)

    async def find(
        self, name: str, expired_until: float, wanted: Callable[[TeamMemory], bool] | None
    ) -> Sequence[TeamMemory]:
        find = RecallRequest(name, expired_until, wanted)
        with self.changed:
            self.check_open()
            self._finds.append(find)
            self.changed.notify()
        found: Sequence[TeamMemory] = await find.done
        return found

    async def close(self) -> None:
        with self.changed:
            self._is_closing = True
            self.changed.notify()
        await self.ended()

    def serve(self, link: Link) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._finds or self._jobs or self._is_closing)
                finds, self._finds = self._finds, []
                jobs, self._jobs = self._jobs, []
            if not finds and not jobs:
                return
            if finds:
                self.report(self._found(link, finds))
            for job in jobs:
                self.report([(job.done, self.do(link, job.work, writes=False))])
            del finds, jobs  # while the thread waits

    def abandon(self) -> Sequence[Outcome]:
        closed = ConversationsUnavailable("the store is closed")
        return [(done, closed) for done in (*(each.done for each in self._finds), *(each.done for each in self._jobs))]

    def _found(self, link: Link, finds: Sequence[RecallRequest]) -> Sequence[Outcome]:
        names = list({find.name for find in finds})
        rows = self.do(link, partial(_read, names=names), writes=False)
        if isinstance(rows, Exception):
            return [(find.done, rows) for find in finds]
        return [(find.done, _memories(rows[find.name], find)) for find in finds]


def _read(connection: Connection, names: Sequence[str]) -> dict[str, list[Row[Any]]]:
    found = defaultdict[str, list[Row[Any]]](list)
    for row in connection.execute(FIND, {"addresses": names}):
        found[row.address].append(row)
    return found


def _memories(rows: Sequence[Row[Any]], find: RecallRequest) -> Sequence[TeamMemory] | Exception:
    valid = [row for row in rows if row.updated_at > find.expired_until][:MAX_MEMORIES]
    try:
        return tuple(memories_of(valid, find.wanted))
    except Exception as exc:  # raised by `wanted`
        return exc
