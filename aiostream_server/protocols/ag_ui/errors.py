"""Errors before the stream have OpenAI's shape: AG-UI has none of its own for them."""

from aiostream_server.protocols.chat.errors import refusal

__all__ = ["refusal"]
