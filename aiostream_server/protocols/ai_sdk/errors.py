"""Errors before the stream have OpenAI's shape. A page gets the body as the message of an `Error`."""

from aiostream_server.protocols.chat.errors import refusal

__all__ = ["refusal"]
