"""Images without labels: files, folders, tables or Python values, each with a name, read block by block."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.given.image import each_image, read
from tenfold.data.source import Shape
from tenfold.errors import ImageError
from tenfold.recipe.sections import Resize

TABLES = (".csv", ".tsv")
ENCODED = ".parquet"
ROWS = 256  # of a parquet file that are read at a time


def with_paths(values: Any, channels: int) -> Iterator[tuple[Path | None, Any]]:
    """The path of each image (None if it is no file) and the image: a path, bytes, an array or a Pillow image.

    The rows of a table are images: of pixels, of paths, or encoded in parquet. Raises UsageError as `each_image` does,
    DataError for an unsuitable table.
    """
    from tenfold.data.encoded_table import unlabelled as encoded
    from tenfold.data.own.table import unlabelled  # reads tables with pyarrow

    for image in each_image(values, channels):
        kind = image.suffix.lower() if isinstance(image, Path) else ""
        if kind in TABLES:
            rows = unlabelled(image)
            yield from ((row, row) for row in rows) if isinstance(rows, list) else in_rows(image, rows)
        elif kind == ENCODED:
            yield from in_rows(image, itertools.chain.from_iterable(encoded(image, ROWS)))
        else:
            yield image if isinstance(image, Path) else None, image


def in_rows(table: Path, images: Iterable[Any], first: int = 1) -> Iterator[tuple[Path, Any]]:
    """Images of a table with the path of the table and the number of the row, from `first` on."""
    return ((Path(f"{table} row {number}"), image) for number, image in enumerate(images, first))


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
