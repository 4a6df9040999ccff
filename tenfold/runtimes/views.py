"""Test-time augmentation: the mean prediction over several views of an image, for any runtime."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tenfold.runtimes.predictor import BATCH, Predictor, in_batches

SMALLEST = 1e-30  # probabilities below it are raised to it before the logarithm


class WithViews:
    """A predictor that averages another predictor's results over several views of each image.

    `views` is "mirror" (the image and its mirror image) or "mirror-translate" (also both shifted by one pixel to the
    upper left and to the lower right; the shifted views have half of the total weight: Jordan 2024, "94% on CIFAR-10
    in 3.29 seconds", section 3.5). It averages log-probabilities, which is equivalent to averaging logits. Only images
    whose highest probability is less than `below` get further views.
    """

    def __init__(self, predictor: Predictor, views: str, below: float = 1.0) -> None:
        self._predictor, self._views = predictor, views
        self._below = below if below < 1 else 2  # in float32 a probability can be 1
        self.classes, self.shape = predictor.classes, predictor.shape

    def predict(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return in_batches(self._predict_batch, images, self.shape, len(self.classes), batch_size)

    def logits(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """The logarithms of the probabilities."""
        return _log(self.predict(images, batch_size))

    def features(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """The features of the images without further views."""
        return self._predictor.features(images, batch_size)

    def logits_and_features(self, images: Any, batch_size: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
        """The logits with further views, the features without."""
        return self.logits(images, batch_size), self.features(images, batch_size)

    def _predict_batch(self, batch: np.ndarray) -> np.ndarray:
        first = self._predictor.predict(batch, len(batch)).copy()
        unsure = first.max(axis=1) < self._below
        if unsure.any():
            total = np.zeros_like(first[unsure])
            for view, weight in _views(batch[unsure], self._views):
                total += np.float32(weight) * _log(
                    first[unsure] if view is None else self._predictor.predict(view, len(view)))
            first[unsure] = _softmax(total)
        return first


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, np.float32(SMALLEST)))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _views(images: np.ndarray, views: str) -> Iterator[tuple[np.ndarray | None, float]]:
    """(view, weight), with weights that sum to 1; None is the image itself, whose prediction is known."""
    weight = 0.5 if views == "mirror" else 0.25
    yield None, weight
    yield images[:, :, ::-1], weight
    if views == "mirror":
        return
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    for start in (0, 2):
        moved = padded[:, start : start + height, start : start + width]
        yield moved, 0.125
        yield moved[:, :, ::-1], 0.125
