"""Which program asks, where that makes a difference to what it is shown. It says nothing of who asks."""

from collections.abc import Iterable
from typing import Final

from aiostream_server.intake.principal import Principal

_OPEN_WEBUI: Final = "x-openwebui-"


def is_open_webui(headers: Iterable[str], principal: Principal) -> bool:
    """By any `X-OpenWebUI-*` header, whatever its value; or because the key was made for it."""
    return principal.client == "open-webui" or any(name.lower().startswith(_OPEN_WEBUI) for name in headers)
