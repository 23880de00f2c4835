"""HTTP by hand: requests that no client library would send, and the bytes that come back."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDict

from tests.kit.waiting import DEADLINE_S

HELLO = b'{"model":"general","messages":[{"role":"user","content":"What is 2+3?"}]}'


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One response, read until the server closed the connection; `headers` find their names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error of a body in OpenAI's shape, checked: four keys, one line, no traceback and no path."""
        assert self.headers["Content-Type"].startswith("application/json")
        content = json.loads(self.body)
        assert set(content) == {"error"}
        error: dict[str, Any] = content["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert "\n" not in error["message"]
        assert "Traceback" not in error["message"]
        assert ".py" not in error["message"]
        assert isinstance(error["type"], str)
        assert isinstance(error["code"], str)
        return error


def post(
    body: bytes = HELLO, *headers: str, path: str = "/v1/chat/completions", content_type: str = "application/json"
) -> bytes:
    """A question; the answer ends with the connection."""
    length = (f"Content-Length: {len(body)}",)
    return head(f"POST {path} HTTP/1.1", f"Content-Type: {content_type}", *length, *headers) + body


def head(start: str, *headers: str) -> bytes:
    """A request line and its headers; `Host` and `Connection: close` are added."""
    lines = (start, "Host: localhost", "Connection: close", *headers)
    return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape")


async def send(url: str, request: bytes, *, timeout_s: float = DEADLINE_S) -> RawAnswer:
    """Send, and read to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    try:
        writer.write(request)
        async with asyncio.timeout(timeout_s):
            return parse(await reader.read())
    finally:
        writer.close()


def parse(response: bytes) -> RawAnswer:
    top, _, body = response.partition(b"\r\n\r\n")
    status_line, *lines = top.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return RawAnswer(int(status_line.split()[1]), CIMultiDict((name, value) for name, _, value in pairs), body)
