"""Checks the bytes of a picture without decoding its pixels: which kind it is, how large, and whether it is whole.

A few kilobytes can hold a picture of thousands of megapixels, so sizes are read from headers. What is checked beyond
that is the frame: the chunks of a PNG with their checksums, the segments of a JPEG, the blocks of a GIF, the length of
a WebP. https://www.w3.org/TR/png-3/, https://www.w3.org/Graphics/JPEG/itu-t81.pdf,
https://www.w3.org/Graphics/GIF/spec-gif89a.txt, https://developers.google.com/speed/webp/docs/riff_container
"""

import struct
import zlib
from collections.abc import Iterator
from itertools import repeat
from typing import Final, NamedTuple

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = b"\xff\xd9"
_GIF_IMAGE, _GIF_EXTENSION, _GIF_END = 0x2C, 0x21, 0x3B
_MAX_PARTS: Final = 200_000  # far more than any encoder writes; more would hold up the server


class PictureSize(NamedTuple):
    media_type: str
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


class Damaged(ValueError):
    """The bytes are no whole picture of a kind that models take."""


def _parts() -> Iterator[None]:
    """Bounds a loop over the parts of a picture."""
    yield from repeat(None, _MAX_PARTS)
    raise Damaged("it has too many parts")


def size_of(raw: bytes) -> PictureSize:
    """The size that the header of a PNG, JPEG, GIF or WebP declares. Raises `Damaged`."""
    try:
        if raw.startswith(_PNG):
            size = PictureSize("image/png", *_png(raw))
        elif raw.startswith(_JPEG):
            size = PictureSize("image/jpeg", *_jpeg(raw))
        elif raw.startswith((b"GIF87a", b"GIF89a")):
            size = PictureSize("image/gif", *_gif(raw))
        elif raw.startswith(b"RIFF") and raw[8:12] == b"WEBP":
            size = PictureSize("image/webp", *_webp(raw))
        else:
            raise Damaged("it is no PNG, JPEG, GIF or WebP")
    except (struct.error, IndexError) as exc:
        raise Damaged("it ends too early") from exc
    if not size.pixels:
        raise Damaged("it has no pixels")
    return size


def _png(raw: bytes) -> tuple[int, int]:
    at, kinds, size = len(_PNG), set[bytes](), (0, 0)
    for _ in _parts():
        if b"IEND" in kinds:
            break
        length, kind = struct.unpack_from(">I4s", raw, at)
        end = at + 8 + length
        (checksum,) = struct.unpack_from(">I", raw, end)
        if zlib.crc32(memoryview(raw)[at + 4 : end]) != checksum:
            raise Damaged("a checksum is wrong")
        if not kinds:
            if (kind, length) != (b"IHDR", 13):
                raise Damaged("it does not begin with its size")
            size = struct.unpack_from(">II", raw, at + 8)
        kinds.add(kind)
        at = end + 4
    if b"IDAT" not in kinds:
        raise Damaged("it has no content")
    return size


def _jpeg(raw: bytes) -> tuple[int, int]:
    at, size = 2, (0, 0)
    for _ in _parts():
        if raw[at] != 0xFF:
            raise Damaged("a marker is missing")
        marker = raw[at + 1]
        at += 1 if marker == 0xFF else 2  # markers may be padded
        if marker == 0xFF or marker in _JPEG_ALONE:
            continue
        (length,) = struct.unpack_from(">H", raw, at)
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", raw, at + 3)
            size = (width, height)
        if marker == _START_OF_SCAN:
            if raw.find(_END_OF_IMAGE, at + length) < 0:
                raise Damaged("it ends too early")
            break
        at += max(length, 2)
    return size


def _gif(raw: bytes) -> tuple[int, int]:
    """The canvas, enlarged where an image reaches beyond it."""
    width, height, flags = struct.unpack_from("<HHB", raw, 6)
    at, has_image, parts = 13 + _colours(flags), False, _parts()
    for _ in parts:
        kind, at = raw[at], at + 1
        if kind == _GIF_END:
            break
        if kind == _GIF_IMAGE:
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", raw, at)
            width, height, has_image = max(width, left + wide), max(height, top + high), True
            at += 10 + _colours(flags)  # and the size of its codes
        elif kind == _GIF_EXTENSION:
            at += 1
        else:
            raise Damaged("it has a block of no known kind")
        while length := raw[at]:
            next(parts)
            at += 1 + length
        at += 1
    if not has_image:
        raise Damaged("it has no content")
    return width, height


def _colours(flags: int) -> int:
    """The bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(raw: bytes) -> tuple[int, int]:
    (length,) = struct.unpack_from("<I", raw, 4)
    if len(raw) < length + 8:
        raise Damaged("it ends too early")
    match raw[12:16]:
        case b"VP8 " if raw[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", raw, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L" if raw[20] == 0x2F:
            (bits,) = struct.unpack_from("<I", raw, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            width, height = (int.from_bytes(raw[at : at + 3], "little") + 1 for at in (24, 27))
            if len(raw) < 30:
                raise Damaged("it ends too early")
            return width, height
    raise Damaged("it has no content")
