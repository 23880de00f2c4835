"""Conversations that nobody goes on with are deleted once an hour while a server runs, and when it starts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from aiostream_server.store.conversations import Conversations, ConversationsUnavailable

_EVERY_S: Final = 3600.0

_log = structlog.get_logger()


@asynccontextmanager
async def expiring(conversations: Conversations) -> AsyncIterator[None]:
    deleting = asyncio.create_task(_delete_for_ever(conversations), name="expiry")
    try:
        yield
    finally:
        deleting.cancel()
        await asyncio.wait({deleting})


async def _delete_for_ever(conversations: Conversations) -> None:
    while True:
        try:
            if deleted := await conversations.delete_expired():
                _log.info("conversations_expired", conversations=deleted)
        except ConversationsUnavailable as exc:
            _log.warning("conversations_not_expired", error=str(exc))
        await asyncio.sleep(_EVERY_S)
