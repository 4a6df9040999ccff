"""Images that may be larger than memory: an array, a memory map, or a view of selected rows of either."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

BLOCK = 16 << 20  # bytes of images read at a time


class Images(Protocol):
    """Images [n, height, width, channels], or features [n, d]; indexing reads only the requested rows.

    A slice or an int array gives an array of those rows, in that order; an int gives one row. NumPy arrays and memory
    maps satisfy this protocol. Returned arrays may be read-only.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class View:
    """Selected rows of images, read on access. A view of a view refers directly to the base images.

    `rows` is int [m], in any order. Raises IndexError for a row that does not exist. `np.asarray` reads all rows.
    """

    def __init__(self, images: Images, rows: np.ndarray) -> None:
        known = images.rows if isinstance(images, View) else np.arange(len(images))
        self.base: Images = images.base if isinstance(images, View) else images
        self.rows: np.ndarray = known[rows]

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.rows), *self.base.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.base.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        return np.asarray(self.base[self.rows[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a view of images can't be converted to an array without a copy")
        return np.asarray(self[:], dtype)


def blocks(images: Images) -> Iterator[np.ndarray]:
    """The images in order, in blocks of up to 16 MiB (at least one image)."""
    size = math.prod(images.shape[1:]) * images.dtype.itemsize
    count = max(1, BLOCK // max(1, size))
    for start in range(0, len(images), count):
        yield np.asarray(images[start : start + count])
