"""Sheets of thumbnails: every picture becomes a data URI, whatever it shows."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tenfold.report.plots.grid import thumbnail
from tenfold.report.thumbnails import Sheet, data_uri


def decoded(content: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize(("kind", "most"), [("png", 0), ("jpeg", 60), ("jpeg", 255)])
def test_a_small_picture_is_png_and_a_large_one_jpeg(
    kind: str, most: int, rng: np.random.Generator
) -> None:
    noise = rng.integers(0, most + 1, (640, 640, 3)).astype(np.uint8)
    head, _, content = data_uri(noise).partition(",")
    assert head == f"data:image/{kind};base64"
    shown = np.asarray(decoded(content).convert("RGB"), np.int64)
    assert shown.shape == noise.shape
    assert abs(shown - noise).mean() < 12


def test_a_picture_without_colours_has_one_channel(rng: np.random.Generator) -> None:
    grey = np.repeat(rng.integers(0, 256, (40, 30, 1)).astype(np.uint8), 3, axis=2)
    image = decoded(data_uri(grey).partition(",")[2])
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), grey[:, :, 0])


def test_images_of_any_number_of_channels_have_a_thumbnail() -> None:
    image = np.arange(8 * 8 * 4, dtype=np.uint8).reshape(8, 8, 4)
    for channels, shown in ((1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (4, [0, 1, 2])):
        sheet = Sheet("s", 48, 48)
        sheet.add(image[..., :channels], "an image")
        assert "data:image/png" in sheet.style()
        np.testing.assert_array_equal(thumbnail(image[..., :channels]), image[..., shown])
