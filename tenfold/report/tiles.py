"""Many small images as a few large WebP pictures, with a bound on their size."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tenfold.report.plots.grid import thumbnail

SIDE = 2048  # height and width of a picture, in pixels
QUALITY, EFFORT = 50, 4  # of WebP: 0 to 100, 0 to 6
SHRINK, SMALLEST = 0.8, 4  # the images get smaller until the pictures fit, but not below so many pixels


@dataclass(frozen=True)
class Tiles:
    """Pictures (WebP) with the images in rows of `columns`, `rows` in a picture, each `height` × `width` pixels."""

    pictures: tuple[bytes, ...]
    columns: int
    rows: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(map(len, self.pictures))


def tiles(images: np.ndarray, most: int) -> Tiles:
    """Images uint8 [n, h, w, 3] in at most about `most` bytes; if need be, the images are made smaller."""
    made = _tiles(images)
    while made.size > most and max(images.shape[1:3]) * SHRINK >= SMALLEST:
        side = int(max(images.shape[1:3]) * SHRINK)
        images = np.stack([thumbnail(image, side) for image in images])
        made = _tiles(images)
    return made


def _tiles(images: np.ndarray) -> Tiles:
    count, height, width = images.shape[:3]
    columns, rows = SIDE // width, SIDE // height
    pictures = tuple(_encoded(picture) for picture in _pictures(images, columns, rows))
    return Tiles(pictures, columns, min(rows, -(-count // columns)), height, width)


def _pictures(images: np.ndarray, columns: int, rows: int) -> Iterator[np.ndarray]:
    for start in range(0, len(images), columns * rows):
        part = images[start : start + columns * rows]
        lines = -(-len(part) // columns)
        padded = np.zeros((lines * columns, *part.shape[1:]), np.uint8)
        padded[: len(part)] = part
        across = padded.reshape(lines, columns, *part.shape[1:]).swapaxes(1, 2)
        yield across.reshape(lines * part.shape[1], columns * part.shape[2], 3)


def _encoded(picture: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "WEBP", quality=QUALITY, method=EFFORT)
    return target.getvalue()
