"""Errors of `/v1/responses` have the shape of chat completions', as OpenAI's have."""

from aiostream_server.protocols.chat.errors import refusal

__all__ = ["refusal"]
