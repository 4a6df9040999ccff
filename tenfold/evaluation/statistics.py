"""Intervals and tests: how far a number may be off, and whether a difference is one. No engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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


def verdict(differences: np.ndarray) -> tuple[Interval | None, float]:
    """(interval, p-value) of the difference of two measures, from its resamples: float [r].

    The p-value is two-sided: twice the share of resamples on the rarer side of 0, where one more is counted on
    it, so that it is never less than 2 / (r + 1) (Davison & Hinkley 1997, section 4.2).
    """
    found = percentile_interval(differences)
    if found is None:
        return None, math.nan
    defined = differences[np.isfinite(differences)]
    rarer = min((defined <= 0).sum(), (defined >= 0).sum())
    return found, min(1.0, 2 * (int(rarer) + 1) / (len(defined) + 1))


@dataclass(frozen=True)
class OverSeeds:
    """A measure of a recipe that was trained with several seeds, on resamples of the images.

    mean and variance: float64 [r], of the runs' values on a resample and of that mean (Student's s²/n; 0 for a
    single run); degrees: of freedom of the variance, 0 for a single run, which tells nothing of other seeds.
    """

    mean: np.ndarray
    variance: np.ndarray
    degrees: float

    @classmethod
    def of(cls, values: np.ndarray) -> OverSeeds:
        """values: float64 [runs, r]."""
        runs = len(values)
        variance = values.var(axis=0, ddof=1) / runs if runs > 1 else np.zeros(values.shape[1])
        return cls(values.mean(axis=0), variance, runs - 1)

    def __sub__(self, other: OverSeeds) -> OverSeeds:
        """The difference of two recipes whose seeds have nothing to do with each other (Welch 1947)."""
        defined = [each.variance[np.isfinite(each.variance)] for each in (self, other)]
        degrees = (self.degrees, other.degrees)
        parts = [(float(v.sum()) / max(len(v), 1), d) for v, d in zip(defined, degrees, strict=True)]
        total = sum(v for v, _ in parts)
        weight = sum(v * v / d for v, d in parts if d > 0)
        welch = total * total / weight if weight > 0 else float(max(degrees))
        return OverSeeds(self.mean - other.mean, self.variance + other.variance, welch)

    def draws(self, seed: Sequence[int]) -> np.ndarray:
        """What other images and other seeds could have given: float64 [r].

        To each resample's mean a draw from Student's distribution (1908) is added, as wide as its standard
        error: where the images change nothing, the interval of the result is Student's, or Welch's.
        """
        if self.degrees == 0:
            return self.mean
        drawn = np.random.default_rng(seed).standard_t(self.degrees, len(self.mean))
        return self.mean + drawn * np.sqrt(self.variance)
