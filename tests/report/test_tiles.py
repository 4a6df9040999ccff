"""Many small images in a few pictures."""

from __future__ import annotations

import io

import numpy as np
from made_images import drawn
from PIL import Image

from tenfold.report import tiles as module
from tenfold.report.tiles import Tiles, tiles


def image(made: Tiles, number: int) -> np.ndarray:
    """The image that the page shows for a number, read from the pictures."""
    picture, place = divmod(number, made.columns * made.rows)
    down, across = divmod(place, made.columns)
    with Image.open(io.BytesIO(made.pictures[picture])) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    return pixels[down * made.height :, across * made.width :][: made.height, : made.width]


def test_each_image_is_where_the_page_looks_for_it(monkeypatch) -> None:
    monkeypatch.setattr(module, "SIDE", 100)
    images = np.stack([drawn(i, 24, 32) for i in range(30)])
    made = tiles(images, 10**6)
    assert (made.columns, made.rows, len(made.pictures)) == (3, 4, 3)
    for number in (0, 2, 3, 11, 12, 29):
        distances = [np.abs(image(made, number).astype(int) - other).mean() for other in images]
        assert int(np.argmin(distances)) == number


def test_images_that_take_too_much_room_are_made_smaller() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), np.uint8)
    whole, bounded = tiles(noise, 10**7), tiles(noise, 40_000)
    assert whole.height == 32
    assert whole.size > 60_000
    assert bounded.height < 32
    assert bounded.size <= 40_000
