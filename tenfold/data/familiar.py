"""Ranges of brightness and contrast of the training images, and which other images lie outside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.data.view import Images, View, blocks

SAMPLE = 5000  # training images used for the ranges: at least this many, if there are that many
MARGIN = 0.1  # tolerance outside a range, as a fraction of the range


def pixel_ranges(images: Images) -> dict[str, list[float]]:
    """Ranges of the pixel mean and the pixel standard deviation of the images, on the scale 0–255.

    images: uint8 [n, h, w, c]; 5,000 to 9,999 of them, evenly spaced, are read, or all if there are fewer. Returns
    "mean" and "sd", each [0.1 % quantile, 99.9 % quantile] over the images.
    """
    step = max(1, len(images) // SAMPLE)
    parts = [_statistics(block) for block in blocks(View(images, np.arange(0, len(images), step)))]
    return {name: [float(q) for q in np.quantile(np.concatenate(values), [0.001, 0.999])]
            for name, values in zip(("mean", "sd"), zip(*parts, strict=True), strict=True)}


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
    flat = images.reshape(len(images), math.prod(images.shape[1:]))
    return flat.mean(axis=1, dtype=np.float64), flat.std(axis=1, dtype=np.float64)
