"""Sheets of thumbnails: every picture becomes a data URI, whatever it shows."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tenfold.report.thumbnails import data_uri


@pytest.mark.parametrize(("kind", "most"), [("png", 0), ("jpeg", 60), ("jpeg", 255)])
def test_a_small_picture_is_png_and_a_large_one_jpeg(
    kind: str, most: int, rng: np.random.Generator
) -> None:
    noise = rng.integers(0, most + 1, (640, 640, 3)).astype(np.uint8)
    head, _, content = data_uri(noise).partition(",")
    assert head == f"data:image/{kind};base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))), np.int64)
    assert shown.shape == noise.shape
    assert abs(shown - noise).mean() < 12
