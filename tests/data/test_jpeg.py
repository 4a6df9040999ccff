"""JPEG without Pillow: the same pixels, at a lower resolution where that is enough."""

from __future__ import annotations

import io

import numpy as np
import pytest
from made_images import drawn, encoded
from PIL import Image

from tenfold.data.fitting import fit
from tenfold.data.jpeg import decode_jpeg, orientation

ORIENTATION = 0x112


def with_orientation(pixels: np.ndarray, value: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    return encoded(pixels, "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize("options", [{}, {"quality": 30}, {"subsampling": 2}, {"progressive": True}])
@pytest.mark.parametrize("number", range(3))
def test_the_pixels_are_those_of_pillow_to_one_grey_level(options: dict[str, object], number: int) -> None:
    content = encoded(drawn(number, 61, 83), "JPEG", **options)
    expected = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    assert np.abs(decode_jpeg(content, None, None) - expected).max() <= 1
    grey = encoded(drawn(number, 61, 83)[..., 0], "JPEG", **options)
    found = decode_jpeg(grey, None, None)
    assert found.shape == (61, 83, 1)
    assert np.abs(found[..., 0] - np.asarray(Image.open(io.BytesIO(grey))).astype(int)).max() <= 1


@pytest.mark.parametrize("how", ["pad", "crop", "stretch"])
def test_a_photograph_that_becomes_small_differs_little_from_one_decoded_in_full(how: str) -> None:
    content = encoded(drawn(5, 480, 640), "JPEG", quality=90)
    full = np.asarray(Image.open(io.BytesIO(content)))
    expected = fit((480, 640), (96, 96, 3), how).apply(full).astype(int)
    assert np.abs(decode_jpeg(content, (96, 96, 3), how) - expected).mean() <= 2


@pytest.mark.parametrize("value", range(1, 9))
def test_the_image_stands_upright(value: int) -> None:
    content = with_orientation(drawn(2, 40, 64), value)
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content)))).astype(int)
    assert orientation(content) == value
    assert np.abs(decode_jpeg(content, None, None) - expected).max() <= 1
    small = decode_jpeg(content, (16, 16, 3), "stretch")
    assert np.abs(small - fit(expected.shape[:2], (16, 16, 3), "stretch").apply(expected.astype(np.uint8)).astype(int)
                  ).mean() <= 2


def test_odd_exif_data_do_not_lose_the_pixels() -> None:
    content = with_orientation(drawn(2), 6)
    at = content.find(b"Exif\0\0")
    for damaged in (content[: at + 6] + b"\xff" * 8 + content[at + 14 :], content.replace(b"Exif\0\0", b"Exif\0\1")):
        assert orientation(damaged) == 1
        assert decode_jpeg(damaged, None, None).shape == (24, 32, 3)


def test_exif_data_stand_in_a_segment_before_the_pixels() -> None:
    """Those of a thumbnail or of other bytes that look alike turn nothing; other segments may come before them."""
    turned, plain = with_orientation(drawn(2), 6), encoded(drawn(2), "JPEG")
    segment = exif_segment(turned)
    comment = b"\xff\xfe\x00\x05abc"
    for before in (b"", comment, comment + b"\xff\xff"):
        assert orientation(plain[:2] + before + segment + plain[2:]) == 6
    held = b"\xff\xe4" + (len(segment) + 2).to_bytes(2, "big") + segment
    for content in (plain + segment, plain[:2] + held + plain[2:], plain[:2] + b"\xff\xe1", plain[:2] + segment[:9]):
        assert orientation(content) == 1


def exif_segment(content: bytes) -> bytes:
    at = content.find(b"Exif\0\0") - 4
    return content[at : at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")]


def test_what_is_no_ordinary_jpeg_is_left_to_pillow() -> None:
    whole = encoded(drawn(0), "JPEG")
    cmyk = io.BytesIO()
    Image.fromarray(drawn(0)).convert("CMYK").save(cmyk, "JPEG")
    for content in (b"", b"\xff\xd8\xff", encoded(drawn(0)), cmyk.getvalue(), whole[: len(whole) // 2],
                    encoded(np.zeros((4097, 4097), np.uint8), "JPEG")):
        assert decode_jpeg(content, None, None) is None
    assert decode_jpeg(whole, (24, 33, 3), None) is None  # of another size
    assert decode_jpeg(whole, (24, 32, 3), None) is not None
