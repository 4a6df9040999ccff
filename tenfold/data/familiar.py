"""Ranges of brightness and contrast of the training images, and which other images lie outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.data.view import Images, View, blocks

SAMPLE = 5000  # images that are read, at most
MARGIN = 0.1  # tolerance outside a range, as a fraction of the range


def pixel_ranges(images: Images) -> dict[str, list[float]]:
    """Ranges of the pixel mean and the pixel standard deviation of the images, on the scale 0–255.

    images: uint8 [n, h, w, c]; at most 5,000 of them, evenly spaced, are read. Returns
    "mean" and "sd", each [0.1 % quantile, 99.9 % quantile] over the images.
    """
    step = max(1, -(-len(images) // SAMPLE))
    sample = View(images, np.arange(0, len(images), step))
    means, deviations = np.concatenate([_statistics(block) for block in blocks(sample)], axis=1)
    return {name: [float(q) for q in np.quantile(values, [0.001, 0.999])]
            for name, values in (("mean", means), ("sd", deviations))}


def unlike(images: np.ndarray, ranges: Mapping[str, Sequence[Any]]) -> np.ndarray:
    """Which of the images uint8 [n, h, w, c] lie outside the ranges by more than a tenth of a range: bool [n]."""
    outside = np.zeros(len(images), bool)
    for values, name in zip(_statistics(images), ("mean", "sd"), strict=True):
        low, high = (float(value) for value in ranges[name])
        margin = MARGIN * (high - low) + 1  # one grey level more, in case the training images are all alike
        outside |= (values < low - margin) | (values > high + margin)
    return outside


def _statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, standard deviation) of the pixels of each image: two float64 [n]."""
    means, deviations = np.empty(len(images)), np.empty(len(images))
    for i, image in enumerate(images):  # one at a time: a float64 copy of all would take eight times their memory
        means[i], deviations[i] = image.mean(dtype=np.float64), image.std(dtype=np.float64)
    return means, deviations
