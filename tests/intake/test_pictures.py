"""Sizes of pictures from their headers, as Pillow reads them; and of any bytes a size or `Damaged`, soon."""

import time
from contextlib import suppress
from io import BytesIO
from typing import Any

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.intake.pictures import Damaged, size_of


def encoded(kind: str, width: int = 31, height: int = 7, **options: Any) -> bytes:
    buffer = BytesIO()
    PIL.Image.new("RGB", (width, height), "red").save(buffer, kind, **options)
    return buffer.getvalue()


FRAMES = [PIL.Image.new("RGB", (31, 7), colour) for colour in ("blue", "green")]
WHOLE = {
    "png": encoded("PNG"),
    "png, interlaced": encoded("PNG", optimize=True),
    "jpeg": encoded("JPEG"),
    "jpeg, progressive": encoded("JPEG", progressive=True),
    "jpeg with a thumbnail": encoded("JPEG", exif=PIL.Image.Exif()),
    "gif": encoded("GIF"),
    "gif, animated": encoded("GIF", save_all=True, append_images=FRAMES),
    "webp": encoded("WEBP"),
    "webp, lossless": encoded("WEBP", lossless=True),
    "webp, animated": encoded("WEBP", save_all=True, append_images=FRAMES),
}


@pytest.mark.parametrize("name", WHOLE)
def test_of_every_kind(name: str) -> None:
    size = size_of(WHOLE[name])
    assert (size.media_type, size.width, size.height) == (f"image/{name.split(',')[0].split()[0]}", 31, 7)


@pytest.mark.parametrize("name", WHOLE)
def test_something_behind_the_picture_does_no_harm(name: str) -> None:
    assert size_of(WHOLE[name] + b"a note of the camera") == size_of(WHOLE[name])


@given(st.sampled_from(sorted(WHOLE)), st.floats(0, 0.99))
def test_a_picture_that_is_cut_off_is_damaged(name: str, share: float) -> None:
    whole = WHOLE[name]
    with pytest.raises(Damaged):
        size_of(whole[: int(len(whole) * share)])


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_of_any_bytes_a_size_or_damaged(name: str, data: st.DataObject) -> None:
    changed = bytearray(WHOLE[name])
    for at in data.draw(st.lists(st.integers(0, len(changed) - 1), max_size=5)):
        changed[at] = data.draw(st.integers(0, 255))
    try:
        size = size_of(bytes(changed))
    except Damaged:
        return
    assert size.pixels > 0


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF1234WEBP"]), st.binary(max_size=200))
def test_of_any_rest_behind_right_first_bytes(first: bytes, rest: bytes) -> None:
    with suppress(Damaged):
        size_of(first + rest)


def test_a_flipped_byte_of_a_png_is_noticed() -> None:
    whole = bytearray(WHOLE["png"])
    whole[len(whole) // 2] ^= 1
    with pytest.raises(Damaged, match="checksum"):
        size_of(bytes(whole))


@pytest.mark.parametrize(
    "raw",
    [
        WHOLE["gif"][:13] + b"!\xfe" + b"\x01x" * 10_000_000,
        WHOLE["png"][:33] + b"\0\0\0\0tEXt\x96\x42\xc5\x85" * 1_600_000,
        WHOLE["jpeg"][:2] + b"\xff" * 20_000_000,
        WHOLE["jpeg"][:2] + b"\xff\xe0\0\2" * 5_000_000,
    ],
    ids=["gif", "png", "jpeg, padded", "jpeg"],
)
def test_millions_of_small_parts_take_no_time(raw: bytes) -> None:
    """20 MB of them; processor time counts, whatever else runs."""
    began = time.thread_time()
    with pytest.raises(Damaged):
        size_of(raw)
    assert time.thread_time() - began < 2
