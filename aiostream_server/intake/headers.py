"""Single headers, read strictly: one that is sent twice or cannot be printed is refused, never guessed at."""

import re
from typing import Final

from multidict import MultiMapping

from aiostream_server.errors import InvalidRequest

MAX_IDENTIFIER_CHARS: Final = 255
_PLACEHOLDER: Final = re.compile(r"\{\{.*\}\}")


def only_value(headers: MultiMapping[str], name: str) -> str | None:
    """None where it is not sent. Raises `InvalidRequest` where it is sent more than once."""
    values = headers.getall(name, [])
    if len(values) > 1:
        raise InvalidRequest(f"the header {name} is sent more than once")
    return values[0].strip(" \t") if values else None


def identifier(headers: MultiMapping[str], name: str) -> str | None:
    """A client's name for something, as it was sent: without decoding, two different names stay different.

    None where it is not sent, or empty.
    """
    value = only_value(headers, name)
    if not value:
        return None
    if len(value) > MAX_IDENTIFIER_CHARS:
        raise InvalidRequest(f"the header {name} is longer than {MAX_IDENTIFIER_CHARS} characters")
    if not value.isprintable():
        raise InvalidRequest(f"the header {name} holds characters that cannot be printed, or that are not UTF-8")
    return value


def has_placeholder(value: str) -> bool:
    """Whether it is a template such as `{{CHAT_ID}}`: Open WebUI 0.12.4 fills it in, 0.6.36 sends it as it is."""
    return _PLACEHOLDER.search(value) is not None
