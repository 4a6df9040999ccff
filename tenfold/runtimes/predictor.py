"""The protocol of everything that predicts, and the one loop over batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tenfold.errors import UsageError

BATCH = 500  # images at a time


class Predictor(Protocol):
    """A classifier: images in, numpy arrays out, in float32, one row an image and in the images' order.

    `images` are uint8 [n, *shape]: an array, a memory map, or anything else with `shape`, `len` and gathering by an
    array of indices. They are read `batch_size` at a time, so a large split need not be in memory; n may be 0.
    Raises UsageError for images of another shape or dtype.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the k classes, in the order of the columns."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        ...

    def predict(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """Probabilities float32 [n, k]."""
        ...

    def logits(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """What the probabilities are the softmax of: float32 [n, k]."""
        ...

    def features(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """What the last layer is given, the penultimate features: float32 [n, d]."""
        ...


def in_batches(compute: Callable[[np.ndarray], np.ndarray], images: Any, shape: tuple[int, int, int], columns: int,
               batch_size: int) -> np.ndarray:
    """`compute` of batches uint8 [b, *shape] of the images, each float32 [b, columns], as one array [n, columns].

    Raises UsageError for images of another shape or dtype.
    """
    if tuple(images.shape[1:]) != shape:
        expected = ", ".join(map(str, shape))
        raise UsageError(f"images: received an array of shape {tuple(images.shape)}; expected (n, {expected}), as "
                         "the model takes them: resize them first")
    rows = np.empty((len(images), columns), np.float32)
    for start in range(0, len(images), batch_size):
        stop = min(start + batch_size, len(images))
        batch = np.asarray(images[np.arange(start, stop)])
        if batch.dtype != np.uint8:
            raise UsageError(f"images: received dtype {batch.dtype}; expected uint8, pixels from 0 to 255")
        rows[start:stop] = compute(batch)
    return rows
