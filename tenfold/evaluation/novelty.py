"""What looks new: the distance of an image's features from those of known images."""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 5
BLOCK = 4096  # new images compared at a time


class Familiar:
    """Features of known images, float [m, d] with m > 1, against which others are measured.

    Features are standardised by the known ones. The distance of an image is one minus its mean cosine similarity to the
    five nearest known images.
    """

    def __init__(self, features: np.ndarray) -> None:
        self._mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        self._known = self._unit(features)
        own = self._known @ self._known.T
        np.fill_diagonal(own, -np.inf)  # an image is no neighbour of its own
        self._own = np.sort(_distance(own))

    def distances(self, features: np.ndarray) -> np.ndarray:
        """The distance of each image, float64 [n], from 0 to 2; features: float [n, d]."""
        blocks = [_distance(self._unit(features[start : start + BLOCK]) @ self._known.T)
                  for start in range(0, len(features), BLOCK)]
        return np.concatenate([np.zeros(0), *blocks])

    def rarity(self, distances: np.ndarray) -> np.ndarray:
        """The fraction of known images that are at least so far from the others, float64 [n], never 0.

        It is the p-value of the hypothesis that an image is like the known ones (conformal: Vovk et al. 2005).
        """
        farther = len(self._own) - np.searchsorted(self._own, distances, side="left")
        return (farther + 1) / (len(self._own) + 1)

    def _unit(self, features: np.ndarray) -> np.ndarray:
        rows = ((features - self._mean) / self._deviation).astype(np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _distance(similarities: np.ndarray) -> np.ndarray:
    """One minus the mean of the five largest of each row."""
    count = min(NEIGHBOURS, similarities.shape[1] - 1)
    nearest = np.partition(similarities, -count, axis=1)[:, -count:]
    return 1 - nearest.mean(axis=1, dtype=np.float64)
