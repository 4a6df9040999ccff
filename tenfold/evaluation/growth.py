"""The accuracy against the number of training images, and what twice as many would bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tenfold.evaluation.statistics import percentile_interval, resamples

RESAMPLES = 1000
STEEPEST = 1.0  # exponent of the power law, at most: errors fall no faster than 1 / images


def learning_curve(sizes: Sequence[int], correct: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, Any]:
    """The curve and its extrapolation, as plain values for `learning_curve.json`.

    sizes: numbers of training images, ascending; correct: for each of them bool [draws, n], which of n test images
    the classifiers trained on different subsets of that size classify correctly; labels: int64 [n], their classes.

    "points": for each size "images", "accuracy", "low", "high" and "draws". "doubled": "images" (twice the largest
    size), and "gain" of accuracy with "low" and "high"; None with fewer than two sizes. The errors follow a power law
    of the number of images (Hestness et al., 2017, "Deep learning scaling is predictable, empirically"), fitted on
    logarithms. Intervals are 95 % percentiles over resamples of the test images and of the subsets.
    """
    rates = np.stack([_errors(each, labels, seed) for seed, each in enumerate(correct)])  # [sizes, resamples]
    point = np.array([1 - each.mean() for each in correct])
    points = []
    for size, each, rate in zip(sizes, correct, rates, strict=True):
        low, high = percentile_interval(1 - rate) or (None, None)
        points.append({"images": int(size), "accuracy": float(each.mean()), "low": low, "high": high,
                       "draws": len(each)})
    if len(sizes) < 2:
        return {"points": points, "doubled": None}
    gain = _gain(sizes, point[:, np.newaxis], len(labels))[0]
    low, high = percentile_interval(_gain(sizes, rates, len(labels))) or (None, None)
    return {"points": points, "doubled": {"images": 2 * int(sizes[-1]), "gain": float(gain), "low": low, "high": high}}


def _errors(correct: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Error rates float64 [resamples]: test images and draws are resampled; the images alike for all sizes."""
    wrong = 1.0 - correct  # [draws, n]
    blocks = [wrong @ weights / len(labels) for weights in resamples(labels, RESAMPLES)]  # [draws, b]
    by_draw = np.concatenate(blocks, axis=1)
    rng = np.random.default_rng([seed, 1])
    chosen = rng.integers(0, len(correct), (len(correct), RESAMPLES))
    return by_draw[chosen, np.arange(RESAMPLES)].mean(axis=0)


def _gain(sizes: Sequence[int], rates: np.ndarray, count: int) -> np.ndarray:
    """How much lower the error rate would be with twice the largest size: float64 [r] from rates [sizes, r]."""
    x = np.log(np.asarray(sizes, float))[:, np.newaxis]
    y = np.log((rates * count + 0.5) / (count + 1))  # no error is not certainty
    weights = (np.asarray(sizes, float) / np.sum(sizes))[:, np.newaxis]
    mean_x, mean_y = (weights * x).sum(axis=0), (weights * y).sum(axis=0)
    slope = (weights * (x - mean_x) * (y - mean_y)).sum(axis=0) / (weights * (x - mean_x) ** 2).sum(axis=0)
    slope = np.clip(slope, -STEEPEST, 0)
    now = np.exp(mean_y + slope * (x[-1] - mean_x))
    return now * (1 - 2.0**slope)
