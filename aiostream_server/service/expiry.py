"""Deletes expired conversations and files: when the server starts, and once an hour."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from aiostream_server.store.conversations import Conversations
from aiostream_server.store.database import ConversationsUnavailable
from aiostream_server.store.files import Files

_EXPIRY_INTERVAL_S: Final = 3600.0

_log = structlog.get_logger()


@asynccontextmanager
async def expiring(conversations: Conversations, files: Files) -> AsyncIterator[None]:
    deleting = asyncio.create_task(_delete_for_ever(conversations, files), name="expiry")
    try:
        yield
    finally:
        deleting.cancel()
        await asyncio.wait({deleting})


async def _delete_for_ever(conversations: Conversations, files: Files) -> None:
    while True:
        try:
            if deleted := await conversations.delete_expired():
                _log.info("conversations_expired", conversations=deleted)
        except ConversationsUnavailable as exc:
            _log.warning("conversations_not_expired", error=str(exc))
        try:
            if deleted := await files.delete_expired():
                _log.info("files_expired", files=deleted)
        except OSError as exc:
            _log.warning("files_not_expired", error=exc.strerror)
        await asyncio.sleep(_EXPIRY_INTERVAL_S)
