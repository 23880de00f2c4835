"""What the server's lines say: https://platform.openai.com/docs/api-reference/chat-streaming

A line may be anything: who answers at a URL need not be such a server.
"""

import json
from enum import Enum
from typing import Final, Literal

import aiohttp

from aiostream_server.client.errors import AnswerFailed, NoServer


class _End(Enum):
    DONE = "[DONE]"


DONE: Final = _End.DONE
_DATA: Final = b"data:"


def read_frame(line: bytes) -> str | Literal[_End.DONE]:
    """The piece of text that a line carries, or none (""); `DONE` for the last one. Raises `AnswerFailed` for an error
    frame, and `NoServer` for data that no such server sends."""
    if not line.startswith(_DATA):
        return ""  # a heartbeat, or the empty line between two frames
    data = line.removeprefix(_DATA).strip()
    if data == b"[DONE]":
        return DONE
    try:
        frame = json.loads(data)
        if "error" in frame:
            raise AnswerFailed(_one_line(frame["error"]["message"]))
        return "".join(choice["delta"].get("content") or "" for choice in frame.get("choices") or ())
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise NoServer("the answer is no stream of chat completion chunks") from exc


async def refusal_text(response: aiohttp.ClientResponse) -> str:
    """Why a request was refused, as far as the body says it."""
    try:
        return _one_line(json.loads(await response.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status} {response.reason}".strip()


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
