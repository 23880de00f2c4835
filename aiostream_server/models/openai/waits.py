"""How long a provider asks to be left alone: from its headers, else from what its error says.

`Retry-After` (RFC 9110, section 10.2.3) and Azure's `Retry-After-Ms` come first. Without them: OpenAI's and Groq's
`X-RateLimit-Reset-*`, Anthropic's times of reset, OpenRouter's in milliseconds, Gemini's `retryDelay`, and sentences
such as "Please try again in 7.66s".
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_RETRY_DELAY: Final = re.compile(r'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"')
_WORDS: Final = re.compile(
    r"(?:try|retry)(?:ing)?(?: again)? (?:in|after) (?:(?P<number>\d+(?:\.\d+)?) ?(?P<unit>seconds?|minutes?|hours?)\b"
    r"|(?P<duration>(?:\d+[dhm])*\d+(?:\.\d+)?(?:ms|[smh])))",
    re.IGNORECASE,
)
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600}
_LIMIT_HEADER: Final = re.compile(r"(?:x-|anthropic-)?ratelimit(?:-[a-z-]+)?", re.IGNORECASE)
_FIRST_DATE: Final = 1_000_000_000  # a larger number is a Unix time


def asked_wait_s(headers: Mapping[str, str], body: str) -> float | None:
    """Seconds; None where the provider does not say. `headers` must find their names in any case."""
    for wait_s in (_milliseconds(headers.get("Retry-After-Ms", "")), retry_after_s(headers.get("Retry-After", ""))):
        if wait_s is not None:
            return wait_s
    resets = [wait_s for wait_s in map(_seconds_until, _resets(headers)) if wait_s is not None]
    return max(resets, default=None) if resets else _said_wait_s(body)


def retry_after_s(value: str) -> float | None:
    """A `Retry-After` in seconds, given as seconds or as a date; None if it is neither."""
    try:
        return float(value)
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
        return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None


def _milliseconds(value: str) -> float | None:
    try:
        return float(value) / 1000
    except ValueError:
        return None


def _resets(headers: Mapping[str, str]) -> list[str]:
    """When the limits are reset of which nothing remains."""
    resets = []
    for name, remaining in headers.items():
        lower = name.lower()
        if "remaining" in lower and _LIMIT_HEADER.fullmatch(lower) and remaining.strip() in ("0", "0.0"):
            resets.append(headers.get(lower.replace("remaining", "reset"), ""))
    return resets


def _seconds_until(reset: str) -> float | None:
    """A reset as a duration (`1m2.5s`), in seconds, as Unix time (in seconds or milliseconds) or in ISO 8601."""
    if reset and (found := _duration_s(reset)) is not None:
        return found
    try:
        number = float(reset)
    except ValueError:
        pass
    else:
        if number < _FIRST_DATE:
            return max(number, 0.0)
        return max((number if number < _FIRST_DATE * 100 else number / 1000) - time.time(), 0.0)
    try:
        at = datetime.fromisoformat(reset)
    except ValueError:
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)


def _said_wait_s(body: str) -> float | None:
    if found := _RETRY_DELAY.search(body):
        return float(found[1])
    if not (found := _WORDS.search(body)):
        return None
    if found["duration"]:
        return _duration_s(found["duration"].lower())
    return float(found["number"]) * _UNIT_S[found["unit"][0].lower()]


def _duration_s(text: str) -> float | None:
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + milliseconds / 1000
