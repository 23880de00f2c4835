"""Images that travel inside a request, as `data:` URLs (https://www.rfc-editor.org/rfc/rfc2397).

Nothing is fetched: a server that follows its clients' URLs can be made to read what only it can reach.
"""

import re
from base64 import b64decode
from typing import Final

from pydantic_core import PydanticCustomError

from aiostream_server.intake.pictures import Damaged, size_of
from aiostream_server.intake.question import ImagePart

_IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
_ALIASES: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_GROUPS: Final = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)"
DATA_URL_PATTERN: Final = (
    f"^data:image/({'|'.join(kind.removeprefix('image/') for kind in _IMAGE_TYPES)});base64,{_GROUPS}$"
)
"""For JSON schemas; what is accepted is a little wider (parameters, upper case)."""


def parse_data_url(url: object) -> ImagePart:
    """A validator for pydantic. Raises `PydanticCustomError`. The media type is that of the
    bytes; what the URL says does not count."""
    if isinstance(url, ImagePart):
        return url
    if not isinstance(url, str):
        raise PydanticCustomError("url_type", "expected a data URL as a string")
    head, comma, payload = url.partition(",")
    scheme, _, media_type = head.partition(":")
    if scheme.lower() in ("http", "https"):
        raise PydanticCustomError("url_remote", "this server does not fetch URLs; send the image as a data URL")
    media_type, *parameters = media_type.lower().split(";")
    if scheme.lower() != "data" or not comma or "base64" not in parameters:
        raise PydanticCustomError("url_form", "expected a data URL: data:image/png;base64,...")
    media_type = _ALIASES.get(media_type, media_type)
    if media_type not in _IMAGE_TYPES:
        raise PydanticCustomError("url_media", "the image must be a PNG, JPEG, GIF or WebP")
    if len(payload) % 4 or not _BASE64.fullmatch(payload):
        raise PydanticCustomError("url_base64", "the image is not valid base64")
    try:
        size = size_of(b64decode(payload))
    except Damaged as exc:
        reason = str(exc)
        raise PydanticCustomError("url_damaged", "the image is damaged: {reason}", {"reason": reason}) from exc
    return ImagePart(size.media_type, payload, pixels=size.pixels)
