"""Distances between images in the features of a network."""

from __future__ import annotations

import numpy as np

DIMENSIONS = 64  # principal components that are compared
PER_COMPONENT = 10  # images
REFERENCE = 10_000  # images among which neighbours are looked for
NEIGHBOURS = 10
BLOCK = 2048
TINY = 1e-9


def reduced(features: np.ndarray, dimensions: int = DIMENSIONS) -> np.ndarray:
    """The first principal components of features [n, d], scaled to the same variance: float32 [n, m].

    At most one for ten images: with as many as images, all would be equally far from each other.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((features.shape[1],) * 2)
    for start in range(0, len(features), BLOCK):
        part = (features[start : start + BLOCK] - mean).astype(np.float32)
        covariance += part.T @ part
    values, vectors = np.linalg.eigh(covariance / max(1, len(features)))
    chosen = np.argsort(-values)[: min(dimensions, max(2, len(features) // PER_COMPONENT))]
    chosen = chosen[values[chosen] > TINY * max(float(values.max()), TINY)]
    scaled = (vectors[:, chosen] / np.sqrt(values[chosen])).astype(np.float32)
    return (features - mean).astype(np.float32) @ scaled


def reference_distance(rows: np.ndarray) -> np.ndarray:
    """The mean cosine distance of each row of float32 [n, m] to its 10 nearest others, among up to 10,000: float32 [n].

    0 to 2; rows of zeros get 0.
    """
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, length, out=np.zeros_like(rows), where=length > TINY)
    chosen = np.sort(np.random.default_rng(0).permutation(len(unit))[:REFERENCE])
    place = np.full(len(unit), -1)
    place[chosen] = np.arange(len(chosen))
    count = min(NEIGHBOURS, len(chosen) - 1)
    found = np.zeros(len(unit), np.float32)
    for start in range(0, len(unit), BLOCK if count > 0 else max(1, len(unit))):
        if count < 1:
            break
        cosine = unit[start : start + BLOCK] @ unit[chosen].T
        own = place[start : start + BLOCK]
        cosine[np.flatnonzero(own >= 0), own[own >= 0]] = -1  # not itself
        nearest = np.partition(cosine, len(chosen) - count, axis=1)[:, -count:]
        found[start : start + BLOCK] = 1 - nearest.mean(axis=1)
    found[length[:, 0] <= TINY] = 0
    return found
