"""Intervals and tests: how far a number may be off, and whether a difference is one. No engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tenfold.evaluation.weighted import Judged, Weighted

RESAMPLES = 2000
LEVEL = 0.95
Z95 = 1.959963984540054  # the normal distribution's 97.5 % quantile
BLOCK = 5_000_000  # weights that are drawn at a time: 20 MB

Interval = tuple[float, float]
Measure = Callable[[Weighted], np.ndarray]


def resamples(labels: np.ndarray, count: int = RESAMPLES, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each image is drawn in each of `count` bootstrap resamples, in blocks: float32 [n, b].

    Stratified: the images of a class are replaced by as many draws from that class. The same labels
    (int64 [n]) and seed give the same resamples, so values of two models on them are paired.
    """
    rng = np.random.default_rng(seed)
    strata = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    size = max(1, min(count, BLOCK // max(len(labels), 1)))
    for start in range(0, count, size):
        b = min(size, count - start)
        weights = np.empty((len(labels), b), np.float32)
        for members in strata:
            n = len(members)
            draws = rng.integers(0, n, (n, b)) * b + np.arange(b)
            weights[members] = np.bincount(draws.ravel(), minlength=n * b).reshape(n, b)
        yield weights


def bootstrap(judged: Judged, measures: Sequence[Measure], count: int = RESAMPLES, seed: int = 0) -> list[np.ndarray]:
    """Each measure on each resample: a float64 array [count], or [m, count] where the measure gives [m, b]."""
    blocks = []
    for weights in resamples(judged.labels, count, seed):
        weighted = Weighted(judged, weights)
        blocks.append([measure(weighted) for measure in measures])
    return [np.concatenate(parts, axis=-1) for parts in zip(*blocks, strict=True)]


def percentile_interval(values: np.ndarray, level: float = LEVEL) -> Interval | None:
    """The middle `level` of resampled values [r] (Efron 1979); None if one in twenty is undefined."""
    defined = values[np.isfinite(values)]
    if len(defined) < 0.95 * len(values) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def deflated(values: np.ndarray, value: float) -> np.ndarray:
    """Resampled values [r] of a measure ≥ 0 that noise only adds to, moved back by what resampling added.

    Without that the interval of a small calibration error lies above the error itself.
    """
    if not np.isfinite(values).any():
        return values
    return np.maximum(values - (float(np.nanmean(values)) - value), 0.0)


def wilson(share: float, count: float, z: float = Z95) -> Interval:
    """The score interval of a proportion (Wilson 1927): `share` of `count` trials, 95 % by default."""
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z * z / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """The exact two-sided p-value that two classifiers are right equally often (McNemar 1947).

    first, second: bool [n], whether each was right on the same images. Binomial test of the images on
    which exactly one of them was.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that all of them hold together (Holm 1979), in their order; NaN stays NaN."""
    p = np.asarray(p_values, np.float64)
    defined = np.flatnonzero(np.isfinite(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted.tolist()


def difference(first: np.ndarray, second: np.ndarray) -> tuple[Interval | None, float]:
    """(interval, p-value) of the difference of two measures, from their paired resamples: float [r] each.

    The p-value is two-sided: twice the share of resamples on the rarer side of 0, where one more is counted on
    it, so that it is never less than 2 / (r + 1) (Davison & Hinkley 1997, section 4.2).
    """
    differences = first - second
    found = percentile_interval(differences)
    if found is None:
        return None, math.nan
    defined = differences[np.isfinite(differences)]
    rarer = min((defined <= 0).sum(), (defined >= 0).sum())
    return found, min(1.0, 2 * (int(rarer) + 1) / (len(defined) + 1))


def over_seeds(values: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """The mean over runs of resampled values [runs, r], with what other seeds would change: [r].

    On each resample of the images, a draw from Student's distribution with runs - 1 degrees of freedom, as
    wide as the standard error of the mean over the runs there, is added: where images change nothing, the
    interval of the result is Student's (1908). Few runs tell little of their spread, and that is what it says. A
    single run has no spread over seeds: its values are given back. Groups of runs that are independent of each
    other need each a `seed` of its own.
    """
    runs, count = values.shape
    if runs == 1:
        return values[0]
    drawn = np.random.default_rng(seed).standard_t(runs - 1, count)
    return values.mean(axis=0) + drawn * values.std(axis=0, ddof=1) / math.sqrt(runs)
