"""Ranges of brightness and contrast of the training images, and which other images lie outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.data.view import Images, View, blocks

SAMPLE = 5000  # images that are read, at most
SMOOTHED = 5  # of so many of them, one is also smoothed
MARGIN = 0.1  # tolerance outside a range, as a fraction of the range


def pixel_ranges(images: Images) -> dict[str, list[float]]:
    """Ranges of the pixel mean and the pixel standard deviation of the images, on the scale 0–255.

    images: uint8 [n, h, w, c]; at most 5,000 of them, evenly spaced, are read. Returns
    "mean" and "sd", each [0.1 % quantile, 99.9 % quantile] over the images. The lower limit of "sd" is that of smoothed
    images, if it is lower: a larger file of the same image loses contrast when it is reduced to the model's size.
    """
    step = max(1, -(-len(images) // SAMPLE))
    sample = View(images, np.arange(0, len(images), step))
    means, deviations = np.concatenate([_statistics(block) for block in blocks(sample)], axis=1)
    smooth = np.concatenate([[_smoothed(image).std() for image in block[::SMOOTHED]] for block in blocks(sample)])
    found = {name: [float(q) for q in np.quantile(values, [0.001, 0.999])]
             for name, values in (("mean", means), ("sd", deviations))}
    found["sd"][0] = min(found["sd"][0], float(np.quantile(smooth, 0.001)))
    return found


def unlike(images: np.ndarray, ranges: Mapping[str, Sequence[Any]]) -> np.ndarray:
    """Which of the images uint8 [n, h, w, c] lie outside the ranges by more than a tenth of a range: bool [n]."""
    outside = np.zeros(len(images), bool)
    for values, name in zip(_statistics(images), ("mean", "sd"), strict=True):
        low, high = (float(value) for value in ranges[name])
        margin = MARGIN * (high - low) + 1  # one grey level more, in case the training images are all alike
        outside |= (values < low - margin) | (values > high + margin)
    return outside


def _smoothed(image: np.ndarray) -> np.ndarray:
    """The image after it was enlarged and reduced, both with linear interpolation: weights 1/6, 2/3, 1/6 each way."""
    smooth: np.ndarray = image.astype(np.float32)
    for axis in (0, 1):
        padded = np.pad(smooth, [(int(axis == 0),) * 2, (int(axis == 1),) * 2, (0, 0)], mode="edge")
        before, after = (np.take(padded, np.arange(start, start + smooth.shape[axis]), axis) for start in (0, 2))
        smooth = smooth * np.float32(2 / 3) + (before + after) * np.float32(1 / 6)
    return smooth


def _statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, standard deviation) of the pixels of each image: two float64 [n]."""
    means, deviations = np.empty(len(images)), np.empty(len(images))
    for i, image in enumerate(images):  # one at a time: a float64 copy of all would take eight times their memory
        means[i], deviations[i] = image.mean(dtype=np.float64), image.std(dtype=np.float64)
    return means, deviations
