"""Errors of `/v1/runs` have OpenAI's shape, as the chat protocol's: a client needs one parser."""

from aiostream_server.protocols.chat.errors import refusal

__all__ = ["refusal"]
