"""Choose images to label: unsure ones, unlike one another."""

from __future__ import annotations

import numpy as np

BLOCK = 10_000  # images whose features are read at a time
CANDIDATES = 3  # times as many of the least sure images as are chosen


def margins(probabilities: np.ndarray) -> np.ndarray:
    """The difference of the two highest probabilities of each image, float64 [n]; probabilities: float [n, k > 1]."""
    top = np.partition(probabilities.astype(np.float64), -2, axis=1)[:, -2:]
    return top[:, 1] - top[:, 0]


def choose(probabilities: np.ndarray, features: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The rows of `count` ≤ n images to label, in order of choice: int64 [count].

    probabilities: float [n, k]; features: float [n, d]. Of the images with the smallest margins, three times as many as
    are chosen, one is drawn after the other, as the first centres of k-means++ are (Arthur & Vassilvitskii 2007): with
    a probability proportional to the squared distance from the nearest one drawn before, times one minus the margin.
    The same seed draws the same images.
    """
    rng, margin = np.random.default_rng(seed), margins(probabilities)
    order = rng.permutation(len(margin))  # equal margins in random order
    candidates = order[np.argsort(margin[order], kind="stable")][: CANDIDATES * count]
    rows, weights = _unit(features, candidates), np.maximum(1 - margin[candidates], 1e-6)
    nearest, left = np.full(len(rows), 2.0), np.ones(len(rows), bool)
    chosen = np.empty(count, np.int64)
    for number in range(count):
        scores = weights * nearest * left
        if not scores.sum() > 0:  # all that are left equal one that is chosen
            scores = weights * left
        chosen[number] = pick = int(rng.choice(len(rows), p=scores / scores.sum()))
        left[pick] = False
        nearest = np.minimum(nearest, np.maximum(2 - 2 * (rows @ rows[pick]).astype(np.float64), 0))
    return candidates[chosen]


def _unit(features: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The features of the chosen images, standardised over all images, of length 1: float32 [chosen, d]."""
    mean = features.mean(axis=0, dtype=np.float64)
    squares = np.zeros_like(mean)
    for start in range(0, len(features), BLOCK):  # the features of all images in float64 may not fit into memory
        squares += np.square(features[start : start + BLOCK] - mean).sum(axis=0)
    deviation = np.sqrt(squares / len(features))
    rows = (features[chosen] - mean) / np.where(deviation > 0, deviation, 1)
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)
