"""One process for all who want the same model in the same way: two `[models.*]` tables that differ in their options,
and the configurations before and after a reload, which are open at the same time. Weights are large, and slow to load.

This is kept for each event loop, not in the application: what is open for one configuration knows nothing of another.
"""

import asyncio
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from aiostream_server.config.model import LlamaCppModelConfig
from aiostream_server.models.llama_cpp.keeper import Keeper
from aiostream_server.models.llama_cpp.weights import read_template

_OF_REQUESTS: Final = frozenset({"options", "tools", "model_info"})  # the process need not know


@dataclass(slots=True)
class _Shared:
    keeper: Keeper
    users: int = 0


_shared: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Shared]]] = WeakKeyDictionary()


class SharedKeeper:
    """One user's hold on a keeper. To be made in the event loop, and closed once."""

    def __init__(self, config: LlamaCppModelConfig) -> None:
        """Raises `ValueError` where a file is not there any more."""
        self._all = _shared.setdefault(asyncio.get_running_loop(), {})
        self._key = _key(config)
        shared = self._all.setdefault(self._key, _Shared(Keeper(config)))
        shared.users += 1
        self.keeper: Final = shared.keeper

    async def close(self) -> None:
        """The last one ends the process."""
        shared = self._all[self._key]
        shared.users -= 1
        if not shared.users:
            del self._all[self._key]
            await shared.keeper.close()


def _key(config: LlamaCppModelConfig) -> str:
    """Another file under the same name is another model."""
    said = config.model_dump_json(exclude=set(_OF_REQUESTS))
    template = read_template(config.chat_template) if config.chat_template is not None else ""
    try:
        stat = config.path.stat()
    except OSError as exc:
        raise ValueError(f"path: {config.path} cannot be read: {(exc.strerror or 'unreadable').lower()}") from None
    return f"{said} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {template}"
