"""How bright and how contrasty training images are, and which images lie outside of that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.data.view import Images

SAMPLE = 5000  # training images, at most, whose statistics are taken
MARGIN = 0.1  # of a range, by which an image may lie outside of it


def pixel_ranges(images: Images) -> dict[str, list[float]]:
    """Between which values the means and the standard deviations of nearly all images lie, on the scale 0–255.

    images: uint8 [n, h, w, c], of which at most 5,000 are read, evenly spaced. Gives "mean" and "sd", each [0.1 %
    quantile, 99.9 % quantile] over the images.
    """
    step = max(1, len(images) // SAMPLE)
    means, deviations = _statistics(images[np.arange(0, len(images), step)])
    return {name: [float(q) for q in np.quantile(values, [0.001, 0.999])]
            for name, values in (("mean", means), ("sd", deviations))}


def unlike(images: np.ndarray, ranges: Mapping[str, Sequence[Any]]) -> np.ndarray:
    """Which of the images uint8 [n, h, w, c] lie outside of the ranges by more than a tenth of them: bool [n]."""
    outside = np.zeros(len(images), bool)
    for values, name in zip(_statistics(images), ("mean", "sd"), strict=True):
        low, high = (float(value) for value in ranges[name])
        margin = MARGIN * (high - low) + 1  # a grey level for images that are all alike
        outside |= (values < low - margin) | (values > high + margin)
    return outside


def _statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the pixels of each image: float64 [n] twice."""
    flat = images.reshape(len(images), math.prod(images.shape[1:]))
    return flat.mean(axis=1, dtype=np.float64), flat.std(axis=1, dtype=np.float64)
