"""Distances between images in the features of a network."""

from __future__ import annotations

import numpy as np

PER_COMPONENT = 10  # images
REFERENCE = 4000  # images among which neighbours are looked for
NEIGHBOURS = 10
BLOCK = 2048
TINY = 1e-9


def reduced(features: np.ndarray, dimensions: int) -> np.ndarray:
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


def reference_distance(features: np.ndarray) -> np.ndarray:
    """The mean cosine distance of each row [n, d] to its 10 nearest others, among up to 4,000: float32 [n], 0 to 2.

    It tells images of another kind apart (Sun et al. 2022, "Out-of-distribution detection with deep nearest
    neighbors"); in principal components of the same variance it does not.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(len(features))[:REFERENCE])
    place = np.full(len(features), -1)
    place[chosen] = np.arange(len(chosen))
    reference, count = _unit(features[chosen]), min(NEIGHBOURS, len(chosen) - 1)
    found = np.zeros(len(features), np.float32)
    if count < 1:
        return found
    for start in range(0, len(features), BLOCK):
        cosine = _unit(features[start : start + BLOCK]) @ reference.T
        own = place[start : start + BLOCK]
        cosine[np.flatnonzero(own >= 0), own[own >= 0]] = -1  # not itself
        found[start : start + BLOCK] = 1 - np.partition(cosine, len(chosen) - count, axis=1)[:, -count:].mean(axis=1)
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows [n, d] of length 1; rows of zeros stay zero."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros(rows.shape, np.float32), where=length > TINY, casting="same_kind")
