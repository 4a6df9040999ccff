"""Intervals and tests: how far a number may be off, and whether a difference is one. No engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.evaluation.weighted import Judged, Weighted
from tenfold.progress import SILENT, Watcher

RESAMPLES = 2000
LEAST_RESAMPLES = 200
WORK = 4_000_000_000  # probabilities that are looked at, over all resamples: about a minute of a core
LEVEL = 0.95
LEAST = 10  # images of a class that is a stratum of its own
FEW = 20  # with fewer resamples than this on a side of 0, their number says little
BLOCK = 5_000_000  # weights that are drawn at a time: 20 MB

Interval = tuple[float, float]
Measure = Callable[[Weighted], np.ndarray]


def enough(images: int, classes: int) -> int:
    """How many resamples are drawn: 2,000, and fewer, down to 200, above two million probabilities."""
    return max(LEAST_RESAMPLES, min(RESAMPLES, WORK // max(images * classes, 1)))


def resamples(labels: np.ndarray, count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each image is drawn in each of `count` bootstrap resamples, in blocks: float32 [n, b].

    Stratified: the images of a class are replaced by as many draws from that class, those of classes with fewer
    than ten images by as many draws from all of these. The same labels (int64 [n]) and seed give the same
    resamples, so values of two models on them are paired.
    """
    rng = np.random.default_rng(seed)
    strata = _strata(labels)
    size = max(1, min(count, BLOCK // max(len(labels), 1)))
    for start in range(0, count, size):
        b = min(size, count - start)
        weights = np.empty((len(labels), b), np.float32)
        for members in strata:
            n = len(members)
            draws = rng.integers(0, n, (n, b)) * b + np.arange(b)
            weights[members] = np.bincount(draws.ravel(), minlength=n * b).reshape(n, b)
        yield weights


def _strata(labels: np.ndarray) -> list[np.ndarray]:
    """The places of the images that are drawn for each other.

    A class of one image would always be drawn as it is, and would seem to be known for sure.
    """
    order = np.argsort(labels, kind="stable")
    classes = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(labels) else []
    classes.sort(key=len)
    few = [members for members in classes if len(members) < LEAST]
    if few and sum(map(len, few)) < LEAST:
        few = classes[: len(few) + 1]
    together = [np.concatenate(few)] if few else []
    return [*together, *classes[len(few):]]


def bootstrap(judged: Judged, measures: Sequence[Measure], count: int | None = None, seed: int = 0, *,
              watcher: Watcher = SILENT) -> list[np.ndarray]:
    """Each measure on each resample: a float64 array [count], or [m, count] where the measure gives [m, b].

    `count` is what is `enough` unless it is given. All are NaN for a single image: its resamples are itself, and
    say nothing of others.
    """
    count, blocks, done = count or enough(len(judged.labels), judged.classes), [], 0
    known = 1.0 if len(judged.labels) > 1 else math.nan
    for weights in resamples(judged.labels, count, seed):
        watcher.advance("bootstrap", done, count, "resamples")
        weighted = Weighted(judged, weights)
        done += weights.shape[1]
        blocks.append([known * measure(weighted) for measure in measures])
    watcher.advance("bootstrap", count, count, "resamples")
    return [np.concatenate(parts, axis=-1) for parts in zip(*blocks, strict=True)]


def percentile_interval(values: np.ndarray) -> Interval | None:
    """The middle 95 % of resampled values [r] (Efron 1979); None if one in twenty is undefined.

    The ends are the values of rank (r + 1) × 0.025 and (r + 1) × 0.975, between which 95 % of further resamples are
    expected (Davison & Hinkley 1997, section 5.2).
    """
    defined = values[np.isfinite(values)]
    if len(defined) < 0.95 * len(values) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="weibull")
    return float(low), float(high)


def deflated(values: np.ndarray, value: float) -> np.ndarray:
    """Resampled values [r] of a measure ≥ 0 that noise only adds to, moved back by what resampling added.

    Without that the interval of a small calibration error lies above the error itself.
    """
    if not np.isfinite(values).any():
        return values
    return np.maximum(values - (float(np.nanmean(values)) - value), 0.0)


def wilson(right: int, count: int) -> Interval:
    """The 95 % score interval of a proportion (Wilson 1927): `right` of `count` > 0 images."""
    from scipy.stats import binomtest

    found = binomtest(right, count).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)


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

    The p-value is two-sided: twice the fraction of resamples on the rarer side of 0, where one more is counted on
    it (Davison & Hinkley 1997, section 4.2). Where fewer than 20 lie there, it is the tail of the normal
    distribution with the resamples' mean and deviation, if that is less: a count of 2,000 can't tell p-values
    below 0.001, and an adjustment for many pairs needs them.
    """
    from scipy.special import ndtr

    found = percentile_interval(differences)
    if found is None:
        return None, math.nan
    defined = differences[np.isfinite(differences)]
    rarer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    p = min(1.0, 2 * (rarer + 1) / (len(defined) + 1))
    deviation = float(defined.std(ddof=1)) if len(defined) > 1 else 0.0
    if rarer < FEW and deviation > 0:
        p = min(p, 2 * float(ndtr(-abs(float(defined.mean())) / deviation)))
    return found, p


@dataclass(frozen=True)
class Uncertain:
    """A value that depends on the test images and on seeds.

    mean: float64 [r], on resamples of the images; variance: of what seeds add to it, with its degrees of freedom
    (both 0 where nothing is known of seeds).
    """

    mean: np.ndarray
    variance: float
    degrees: float

    def fraction_below(self, value: float) -> float:
        """The probability of less than `value`: Student's (1908) around each resample, averaged over them."""
        from scipy.special import stdtr

        return float(stdtr(self.degrees, (value - self._defined()) / math.sqrt(self.variance)).mean())

    def _defined(self) -> np.ndarray:
        return self.mean[np.isfinite(self.mean)]

    def interval(self) -> Interval | None:
        """The middle 95 %: where images change nothing, Student's interval; where seeds do not, the percentiles."""
        resampled = percentile_interval(self.mean)
        if resampled is None or not self.variance > 0:
            return resampled
        from scipy.optimize import brentq
        from scipy.special import stdtrit

        defined, tail = self._defined(), (1 - LEVEL) / 2
        far = float(stdtrit(self.degrees, 1 - tail)) * math.sqrt(self.variance) * (1 + 1e-9)
        ends = float(defined.min()) - far, float(defined.max()) + far
        return (float(brentq(lambda x: self.fraction_below(x) - tail, *ends, rtol=1e-7)),
                float(brentq(lambda x: self.fraction_below(x) - 1 + tail, *ends, rtol=1e-7)))

    def verdict(self) -> tuple[Interval | None, float]:
        """(interval, two-sided p-value of being 0)."""
        if not self.variance > 0:
            return verdict(self.mean)
        found = self.interval()
        if found is None:
            return None, math.nan
        below = self.fraction_below(0.0)
        return found, min(1.0, 2 * min(below, 1 - below))


@dataclass(frozen=True)
class OverSeeds:
    """A measure of a recipe that was trained with several seeds, on resamples of the images.

    mean: float64 [r], over the runs; of_a_run: the variance over seeds of a single run (0 for one run alone, which
    tells nothing of other seeds); runs: how many.
    """

    mean: np.ndarray
    of_a_run: float
    runs: int

    @classmethod
    def of(cls, values: np.ndarray, observed: np.ndarray) -> OverSeeds:
        """values: float64 [runs, r], of each run on each resample; observed: float64 [runs], on the images as they are.

        Runs differ by their seeds and by luck with these images. The luck is in the resampled mean already, so
        it is taken out of the variance over the runs: resampling shows it, by what it adds to that variance. Of two
        runs it is left in: a variance of one degree of freedom would too often seem to be nothing but luck.
        """
        runs = len(values)
        if runs == 1:
            return cls(values[0], 0.0, 1)
        within = values.var(axis=0, ddof=1)
        within = within[np.isfinite(within)]
        seen = float(observed.var(ddof=1))
        luck = max(float(within.mean()) - seen, 0.0) if runs > 2 and len(within) else 0.0
        return cls(values.mean(axis=0), max(seen - luck, 0.0), runs)

    @property
    def uncertain(self) -> Uncertain:
        """The mean over seeds, as uncertain as it is."""
        return Uncertain(self.mean, self.of_a_run / self.runs, self.runs - 1)

    def minus(self, other: OverSeeds) -> Uncertain:
        """The difference of two recipes whose seeds have nothing to do with each other (Welch 1947).

        A single run is taken to vary over its seeds as the other recipe's runs do.
        """
        mine = other.of_a_run if self.runs == 1 else self.of_a_run
        theirs = self.of_a_run if other.runs == 1 else other.of_a_run
        parts = [(mine / self.runs, self.runs - 1), (theirs / other.runs, other.runs - 1)]
        total = sum(variance for variance, _ in parts)
        if 1 in (self.runs, other.runs):
            degrees = float(max(degrees for _, degrees in parts))  # all that is known is the other's variance
        else:
            weight = sum(variance**2 / degrees for variance, degrees in parts)
            degrees = total**2 / weight if weight > 0 else 0.0
        return Uncertain(self.mean - other.mean, total, degrees)
