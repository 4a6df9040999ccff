"""Ranges of brightness and contrast of the training images, and which other images lie outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.data.view import Images, View, blocks

SAMPLE = 5000  # images that are read, at most
SMOOTHED = 5  # one in so many of these images is also smoothed
AT_ONCE = 1 << 16  # numbers, which stay in the cache of a processor
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
    smooth = np.concatenate([_smoothed(part).std(axis=(1, 2, 3)) for block in blocks(sample)
                             for part in _parts(block[::SMOOTHED])])
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


def _smoothed(images: np.ndarray) -> np.ndarray:
    """The images after they were enlarged and reduced with linear interpolation: weights 1/6, 2/3, 1/6 each way."""
    smooth: np.ndarray = images.astype(np.float32)
    for axis in (1, 2):
        along = np.moveaxis(smooth, axis, 0)
        before, after = np.concatenate([along[:1], along[:-1]]), np.concatenate([along[1:], along[-1:]])
        smooth = np.moveaxis(along * np.float32(2 / 3) + (before + after) * np.float32(1 / 6), 0, axis)
    return smooth


def _statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, standard deviation) of the pixels of each image: two float64 [n]."""
    pixels = int(np.prod(images.shape[1:]))
    flat = [part.reshape(len(part), pixels) for part in _parts(images)]
    return (np.concatenate([part.mean(axis=1, dtype=np.float64) for part in flat]),
            np.concatenate([part.std(axis=1, dtype=np.float64) for part in flat]))


def _parts(images: np.ndarray) -> list[np.ndarray]:
    """The images in parts, because a float64 copy of all would take eight times their memory; at least one part."""
    step = max(1, AT_ONCE // max(1, int(np.prod(images.shape[1:]))))
    return [images[i : i + step] for i in range(0, max(1, len(images)), step)]
