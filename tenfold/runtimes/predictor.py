"""The protocol of predictors and their loop over batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tenfold.errors import UsageError

BATCH = 500  # images per batch


class Predictor(Protocol):
    """A classifier from images to float32 arrays with one row per image, in the same order.

    `images` are uint8 [n, *shape]: an array, a memory map, or any object with `shape`, `len` and indexing by an array
    of indices. They are read in batches of `batch_size`, so they need not fit into memory; n may be 0.
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
        """Logits float32 [n, k]; their softmax gives the probabilities."""
        ...

    def features(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """Features float32 [n, d]: the input of the logits layer."""
        ...

    def logits_and_features(self, images: Any, batch_size: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
        """Both, computed at once."""
        ...


def in_batches(compute: Callable[[np.ndarray], np.ndarray], images: Any, shape: tuple[int, int, int], columns: int,
               batch_size: int) -> np.ndarray:
    """Apply `compute` (uint8 [b, *shape] → float32 [b, columns]) to batches of the images; return [n, columns].

    Raises UsageError for images of another shape or dtype.
    """
    if tuple(images.shape[1:]) != shape:
        expected = ", ".join(map(str, shape))
        raise UsageError(f"images: received an array of shape {tuple(images.shape)}; expected (n, {expected}) "
                         "for this model: resize them first")
    rows = np.empty((len(images), columns), np.float32)
    for start in range(0, len(images), batch_size):
        stop = min(start + batch_size, len(images))
        batch = np.asarray(images[np.arange(start, stop)])
        if batch.dtype != np.uint8:
            raise UsageError(f"images: received dtype {batch.dtype}; expected uint8 with pixels from 0 to 255: "
                             "convert them first")
        rows[start:stop] = compute(batch)
    return rows
