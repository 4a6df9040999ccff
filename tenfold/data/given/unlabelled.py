"""Images without labels: files, folders, tables of pixels or Python values, each with a name, read block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.given.image import each_image, read
from tenfold.data.source import Shape
from tenfold.errors import ImageError
from tenfold.recipe.sections import Resize

TABLES = (".csv", ".tsv")


def with_paths(values: Any, channels: int) -> Iterator[tuple[Path | None, Any]]:
    """The path of each image (None if it is no file) and the image: a path, bytes, an array or a Pillow image."""
    from tenfold.data.own.table import pixel_rows  # reads tables with pyarrow

    for image in each_image(values, channels):
        if isinstance(image, Path) and image.suffix.lower() in TABLES:
            yield from ((Path(f"{image} row {number}"), row) for number, row in enumerate(pixel_rows(image), 1))
        else:
            yield image if isinstance(image, Path) else None, image


class Unlabelled:
    """Images of any size as a model takes them: uint8 [height, width, channels].

    values: as for `tenfold.predict`. `len` is the number of images that are given; some may be unreadable. Raises
    UsageError for a path that does not exist, a folder without images or a value of another type.
    """

    def __init__(self, values: Any, shape: Shape, resize: Resize) -> None:
        self._given, self._shape, self._resize = list(with_paths(values, shape[2])), shape, resize

    def __len__(self) -> int:
        return len(self._given)

    def name(self, number: int) -> str:
        """The path of an image; "image 3" if it is no file."""
        path = self._given[number][0]
        return f"image {number + 1}" if path is None else str(path)

    def blocks(self, size: int) -> Iterator[tuple[list[int], np.ndarray, list[str]]]:
        """(numbers of the images that could be read, their pixels uint8 [n, *shape], reasons for the others)."""
        for start in range(0, len(self), size):
            numbers, pixels, unread = [], [], []
            for number in range(start, min(start + size, len(self))):
                try:
                    pixels.append(read(self._given[number][1], self._shape, resize=self._resize))
                    numbers.append(number)
                except ImageError as error:
                    reason = str(error)
                    unread.append(reason if self._given[number][0] else f"{self.name(number)}: {reason}")
            yield numbers, np.stack(pixels) if pixels else np.zeros((0, *self._shape), np.uint8), unread

    def pixels(self, numbers: Sequence[int]) -> list[np.ndarray]:
        """Images that could be read before, read again."""
        return [read(self._given[number][1], self._shape, resize=self._resize) for number in numbers]
