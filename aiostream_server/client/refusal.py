"""Errors in OpenAI's shape -> exceptions: https://platform.openai.com/docs/guides/error-codes

A body may be anything: what stands before a server may refuse, too.
"""

import email.utils
import json
import time
from collections.abc import Mapping
from typing import Final

import aiohttp

from aiostream_server.client.errors import RequestRefused, RunExpired, UnknownRun

_MAX_MESSAGE_CHARS: Final = 1_000
_LEAVES: Final[Mapping[str, type[RequestRefused]]] = {"run_expired": RunExpired, "not_found": UnknownRun}


async def refusal(response: aiohttp.ClientResponse) -> RequestRefused:
    """Why a request was refused, as far as its body says it."""
    try:
        error = json.loads(await response.read())["error"]
        code, message = str(error.get("code") or ""), " ".join(str(error["message"]).split())
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message = "", f"HTTP {response.status} {response.reason}".strip()
    leaf = _LEAVES.get(code, RequestRefused)
    wait_s = retry_after_s(response.headers.get("Retry-After"))
    return leaf(response.status, code, message[:_MAX_MESSAGE_CHARS], retry_after_s=wait_s)


def retry_after_s(header: str | None) -> float | None:
    """Seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
