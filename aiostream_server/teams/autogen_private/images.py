"""AutoGen's `Image` as the bytes that were sent, decoded only where an agent reads its pixels.

AutoGen decodes every image into three bytes for each pixel, and encodes it as a PNG again for each model call. Here the
checked bytes go to the model as they came, and into a saved state and out of it. For that `Image.from_base64`, with
which AutoGen loads a state, is replaced.
"""

import base64
from io import BytesIO
from typing import Any, Final

import PIL.Image
from autogen_core import Image

from aiostream_server.intake.pictures import Damaged, size_of


class EncodedImage(Image):
    """`base64` holds a picture that `intake.pictures` has checked."""

    def __init__(self, encoded: str, media_type: str) -> None:
        self._encoded = encoded
        self._media_type = media_type

    def __getattr__(self, name: str) -> Any:
        """The pixels, when they are asked for. Raises what Pillow raises where they are damaged."""
        if name != "image":
            raise AttributeError(name)
        with PIL.Image.open(BytesIO(base64.b64decode(self._encoded))) as picture:
            self.image = picture.convert("RGB")
        return self.image

    def to_base64(self) -> str:
        return self._encoded

    @property
    def data_uri(self) -> str:
        return f"data:{self._media_type};base64,{self._encoded}"


_decoded: Final = Image.from_base64


def _from_base64(encoded: str) -> Image:
    try:
        size = size_of(base64.b64decode(encoded))
    except (Damaged, ValueError):
        return _decoded(encoded)  # of another kind: Pillow says whether it is one
    return EncodedImage(encoded, size.media_type)


Image.from_base64 = _from_base64  # type: ignore[method-assign, assignment]
