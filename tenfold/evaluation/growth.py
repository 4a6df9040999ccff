"""The accuracy against the number of training images, and what twice as many would bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tenfold.evaluation.statistics import Fraction, percentile_interval, resamples, wilson

RESAMPLES = 1000
STEEPEST = 1.0  # exponent of the power law, at most: errors fall no faster than 1 / images
WIDENED = 1.25  # so that 19 of 20 intervals hold the true gain: `python -m benchmarks.more_images`


def learning_curve(sizes: Sequence[int], correct: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, Any]:
    """The curve and its extrapolation, as plain values for `learning_curve.json`.

    sizes: numbers of training images, ascending; correct: for each of them bool [draws, n], which of n test images
    the classifiers trained on different subsets of that size classify correctly; labels: int64 [n], their classes.

    "points": for each size "images", "accuracy", "low", "high" and "draws". "doubled": "images" (twice the largest
    size), and "gain" of accuracy with "low" and "high"; None with fewer than two sizes. The errors are expected to
    follow the power law of the two largest sizes (Hestness et al., 2017, "Deep learning scaling is predictable,
    empirically"); a law fitted to all sizes expects too much, because curves flatten. Intervals come from resamples of
    the test images and of the subsets: of the accuracy score intervals (see `Fraction`; Wilson's if there is one
    subset, as for the accuracy of a run), of the gain 95 % percentiles,
    widened because the law may not hold. If all images are right, or all wrong, resamples do not differ: the gain is
    then at most what the law can make of the errors that Wilson's interval of the accuracy allows.
    """
    rates = np.stack([_errors(each, labels, seed) for seed, each in enumerate(correct)])  # [sizes, resamples]
    point = np.array([1 - each.mean() for each in correct])
    points = []
    for size, each, rate in zip(sizes, correct, rates, strict=True):
        accuracy = float(each.mean())
        interval = _wilson(each) if len(each) == 1 else Fraction(accuracy, len(labels)).interval(1 - rate)
        low, high = interval or (None, None)
        points.append({"images": int(size), "accuracy": accuracy, "low": low, "high": high,
                       "draws": len(each)})
    if len(sizes) < 2:
        return {"points": points, "doubled": None}
    gain = float(_gain(sizes, point[:, np.newaxis], len(labels))[0])
    interval = percentile_interval(_gain(sizes, rates, len(labels)))
    low, high = (gain + WIDENED * (end - gain) for end in interval) if interval else (None, None)
    if low is not None and low == high:
        high = (1 - 2.0**-STEEPEST) * (1 - _wilson(correct[-1])[0])
    gain = min(gain, float(point[-1]))  # no accuracy exceeds 1; the true error may be larger than that of these images
    return {"points": points, "doubled": {"images": 2 * int(sizes[-1]), "gain": gain, "low": low, "high": high}}


def _wilson(correct: np.ndarray) -> tuple[float, float]:
    """Wilson's interval of the accuracy of one size, from bool [draws, n]."""
    count = correct.shape[1]
    return wilson(round(count * float(correct.mean())), count)


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
    rates = (rates[-2:] * count + 0.5) / (count + 1)  # no error is not certainty
    slope = np.log(rates[1] / rates[0]) / np.log(sizes[-1] / sizes[-2])
    return rates[1] * (1 - 2.0 ** np.clip(slope, -STEEPEST, 0))
