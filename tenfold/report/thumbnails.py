"""Sprite sheets: many thumbnails in one picture, so that a page stays small."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tenfold.report.plots.grid import thumbnail

COLUMNS = 20
MAX_PNG = 200_000  # bytes; larger sheets are stored as JPEG


@dataclass(frozen=True)
class Thumbnail:
    """The position of an image in its sheet, and its description."""

    sheet: str
    column: int
    row: int
    words: str


class Sheet:
    """Images of one shape in a grid.

    name: the CSS class of the thumbnails; side: their stored size in pixels at most; shown: their width on the page
    in CSS pixels.
    """

    def __init__(self, name: str, side: int, shown: int) -> None:
        self.name = name
        self._side, self._shown = side, shown
        self._images: list[np.ndarray] = []

    def add(self, image: np.ndarray, words: str) -> Thumbnail:
        """Add an image (uint8 [h, w, c]), shrunk if it is larger than the sheet's side."""
        row, column = divmod(len(self._images), COLUMNS)
        self._images.append(thumbnail(image, self._side))
        return Thumbnail(self.name, column, row, words)

    def style(self) -> str:
        """The CSS of the thumbnails, with the picture embedded; empty without images."""
        if not self._images:
            return ""
        height, width = self._images[0].shape[:2]
        wide = max(8, round(self._shown * min(1.0, width / height)))
        tall = max(8, round(wide * height / width))
        return (f".{self.name} {{ --w: {wide}px; --h: {tall}px; --columns: {COLUMNS}; "
                f"background-image: url({self._uri()}); }}")

    def _uri(self) -> str:
        height, width = self._images[0].shape[:2]
        rows = -(-len(self._images) // COLUMNS)
        picture = np.full((rows * height, COLUMNS * width, 3), 255, np.uint8)
        for i, image in enumerate(self._images):
            y, x = (i // COLUMNS) * height, (i % COLUMNS) * width
            picture[y : y + height, x : x + width] = image
        return data_uri(picture)


def data_uri(picture: np.ndarray) -> str:
    """An image (uint8 [h, w, 3]) as a data URI: PNG, or JPEG if the PNG is large."""
    grey = (picture == picture[:, :, :1]).all()
    image = Image.fromarray(picture[:, :, 0] if grey else picture)
    middle = image.crop((0, image.height * 7 // 16, image.width, -(-image.height * 9 // 16)))  # an eighth
    content = _png(image) if 8 * len(_png(middle)) <= 2 * MAX_PNG else None
    if content is not None and len(content) <= MAX_PNG:
        return _uri("png", content)
    target = io.BytesIO()
    try:
        image.save(target, "JPEG", quality=88, subsampling=0, optimize=True)
    except OSError:  # Pillow has no room for the optimized file of a picture that is mostly noise
        target = io.BytesIO()
        image.save(target, "JPEG", quality=88, subsampling=0)
    return _uri("jpeg", target.getvalue())


def _png(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()
