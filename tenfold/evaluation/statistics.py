"""Confidence intervals and tests of differences. Needs no engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from tenfold.evaluation.weighted import Predictions, Weighted
from tenfold.machine import current
from tenfold.progress import SILENT, Watcher

RESAMPLES = 2000
MIN_RESAMPLES = 200
MAX_PROBABILITIES = 4_000_000_000  # images × classes × resamples: about a minute on one core
LEVEL = 0.95
Z2 = NormalDist().inv_cdf((1 + LEVEL) / 2) ** 2
SAME = 1e-12  # values that differ by less are equal but for rounding
MIN_STRATUM = 10  # images; smaller classes share a stratum
MIN_TAIL = 20  # with fewer resamples on one side of 0, their number is too imprecise
WEIGHTS_PER_BLOCK = 5_000_000  # images × resamples drawn at a time: 20 MB
WEIGHTS_AT_ONCE = 1_000_000  # images × resamples measured by a thread: 4 MB, which stay in the processor's cache

Interval = tuple[float, float]
Measure = Callable[[Weighted], np.ndarray]


def enough(images: int, classes: int) -> int:
    """The default number of resamples: 2,000, or down to 200 above two million probabilities (images × classes)."""
    return max(MIN_RESAMPLES, min(RESAMPLES, MAX_PROBABILITIES // max(images * classes, 1)))


def resamples(labels: np.ndarray, count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each image is drawn in each of `count` bootstrap resamples, in blocks: float32 [n, b].

    Stratified: each class is resampled separately, but classes with fewer than ten images together. The resamples
    depend only on the labels (int64 [n]) and the seed, so the values of two models on them are paired.
    """
    rng = np.random.default_rng(seed)
    strata = _strata(labels)
    size = max(1, min(count, WEIGHTS_PER_BLOCK // max(len(labels), 1)))
    for start in range(0, count, size):
        b = min(size, count - start)
        weights = np.empty((len(labels), b), np.float32)
        for members in strata:
            n = len(members)
            draws = rng.integers(0, n, (n, b))
            draws *= b  # in place: half the time of the drawing was for new memory
            draws += np.arange(b)
            weights[members] = np.bincount(draws.ravel(), minlength=n * b).reshape(n, b)
        yield weights


def _strata(labels: np.ndarray) -> list[np.ndarray]:
    """The indices of the images of each stratum.

    A class with a single image would otherwise always be drawn unchanged and look certain.
    """
    order = np.argsort(labels, kind="stable")
    classes = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(labels) else []
    classes.sort(key=len)
    few = [members for members in classes if len(members) < MIN_STRATUM]
    if few and sum(map(len, few)) < MIN_STRATUM:
        few = classes[: len(few) + 1]
    together = [np.concatenate(few)] if few else []
    return [*together, *classes[len(few):]]


def bootstrap(predictions: Predictions, measures: Sequence[Measure], count: int | None = None, seed: int = 0, *,
              watcher: Watcher = SILENT) -> list[np.ndarray]:
    """Each measure on each resample: float64 [count], or [m, count] if the measure returns [m, b].

    count: by default see `enough`. All values are NaN for a single image, because every resample equals it.
    """
    count, done = count or enough(len(predictions.labels), predictions.classes), 0
    found: list[list[np.ndarray]] = []
    known = 1.0 if len(predictions.labels) > 1 else math.nan

    together = max(1, WEIGHTS_AT_ONCE // max(len(predictions.labels), 1))

    def measured(weights: np.ndarray) -> list[np.ndarray]:
        weighted = Weighted(predictions, np.ascontiguousarray(weights))
        return [known * measure(weighted) for measure in measures]

    with ThreadPoolExecutor(current().threads) as threads:
        measuring: Iterator[list[np.ndarray]] = iter(())
        for weights in resamples(predictions.labels, count, seed):  # the next ones are drawn while these are measured
            watcher.advance("bootstrap", done, count, "resamples")
            done += weights.shape[1]
            before, measuring = measuring, threads.map(measured, [weights[:, i : i + together]
                                                                  for i in range(0, weights.shape[1], together)])
            found += before  # after the next ones were queued, so that no thread is idle
        found += measuring
    watcher.advance("bootstrap", count, count, "resamples")
    return [np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True)]


def percentile_interval(values: np.ndarray, hidden: float = 0.0) -> Interval | None:
    """The middle 95 % of resampled values [r] (Efron 1979); None if more than 5 % are undefined.

    The ends are the values of rank (r + 1) × 0.025 and (r + 1) × 0.975: 95 % of further resamples are expected
    between them (Davison & Hinkley 1997, section 5.2). If all values are equal, the interval reaches from `hidden`
    below them to `hidden` above: see `Fraction`.
    """
    defined = values[np.isfinite(values)]
    if len(defined) < 0.95 * len(values) or not len(defined):
        return None
    if hidden and np.ptp(defined) < SAME:
        return float(defined[0]) - hidden, float(defined[0]) + hidden
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="weibull")
    return float(low), float(high)


@dataclass(frozen=True)
class Fraction:
    """A measure that behaves like a fraction of images: its value, and of how many images it is one.

    value: the measure; images: of which a plain fraction would be as precise; rarer: number of misclassified images or
    of the others, whichever is less (by default that of a plain fraction); unseen: variance that resamples do not
    show; least and most: the bounds of the measure. Resamples of images that are all classified correctly, or all but
    a few, say too little about other images: percentiles would be too narrow.
    """

    value: float
    images: float
    rarer: float | None = None
    unseen: float = 0.0
    least: float = 0.0
    most: float = 1.0

    @property
    def hidden(self) -> float:
        """By how much the measure may differ on other images although no resample of these differs.

        Tango's interval (1998) of a paired difference of two fractions, if no image makes a difference.
        """
        return (self.most - self.least) * Z2 / (self.images + Z2)

    def scored(self, values: np.ndarray) -> np.ndarray:
        """Values [r], ascending, whose percentiles are the ends of score intervals (Wilson 1927), from resamples [r].

        The interval is that of a fraction of so many images that it would vary as the resamples do (Korn & Graubard
        1998): of an area under a curve, of more than there are, but at most of `images` for each of the `rarer` ones
        and once more. Undefined if more than 5 % of the resamples are.
        """
        from scipy.special import ndtri

        defined = values[np.isfinite(values)]
        if len(defined) < 0.95 * len(values) or not len(defined) or not self.images:
            return values
        width = self.most - self.least
        p = min(max((self.value - self.least) / width, 0.0), 1.0)
        at_once, variance = p * (1 - p), float(defined.var()) / width**2 + self.unseen
        most = self.images * (1 + (self.images * min(p, 1 - p) if self.rarer is None else self.rarer))
        count = min(at_once / variance, most) if variance > SAME**2 and at_once > SAME else most
        z = ndtri(np.arange(1, len(values) + 1) / (len(values) + 1))
        half = np.sign(z) * np.sqrt(z**2 * at_once / count + z**4 / (4 * count**2))
        return self.least + width * np.clip((p + z**2 / (2 * count) + half) / (1 + z**2 / count), 0.0, 1.0)

    def interval(self, values: np.ndarray) -> Interval | None:
        """The 95 % score interval from resamples [r]; see `scored`."""
        return percentile_interval(self.scored(values))


def in_equal_classes(counts: np.ndarray) -> float:
    """With how many images in equal classes a mean of fractions over the classes would be as precise: k² / Σ 1/count.

    counts: int [k], the images of each class; classes without images do not count. For two classes it is also the
    number of images with which the area under a ROC curve near 1 is as precise as a fraction (Newcombe 2006).
    """
    counts = counts[counts > 0]
    return len(counts) ** 2 / float((1 / counts).sum()) if len(counts) else 0.0


def unseen_variance(counts: np.ndarray, wrong: np.ndarray) -> float:
    """The variance of a mean over classes of fractions that classes without errors hide from resamples.

    counts, wrong: int or float [k], the images of each class and those that are misclassified. A fraction without
    errors has the variance 1/2 / (count + 1)² (nearly that of Jeffreys' posterior), the mean over k classes 1/k² of it.
    """
    present = counts > 0
    sure = counts[present & (wrong == 0)]
    return float((0.5 / (sure + 1) ** 2).sum()) / max(int(present.sum()), 1) ** 2


def stretched(values: np.ndarray, value: float, images: int) -> np.ndarray:
    """Resampled values [r] of a mean over `images` images, farther from the value itself.

    Percentiles of few images are too narrow: resamples vary by (n - 1)/n of the true variance, and the variance itself
    is uncertain. Student's interval (1908) makes up for both, and so does this factor (Hesterberg 2015, "What teachers
    should know about the bootstrap"): 9.2 for 2 images, 1.19 for 10, 1.02 for 100.
    """
    if images < 2:
        return values
    from scipy.special import stdtrit

    factor = math.sqrt(images / (images - 1)) * float(stdtrit(images - 1, (1 + LEVEL) / 2)) / math.sqrt(Z2)
    return value + factor * (values - value)


def deflated(values: np.ndarray, value: float) -> np.ndarray:
    """Resampled values [r] of a measure ≥ 0 that noise can only increase, minus the mean increase by resampling.

    Otherwise the interval of a small calibration error would lie above the error itself.
    """
    if not np.isfinite(values).any():
        return values
    return np.maximum(values - (float(np.nanmean(values)) - value), 0.0)


def wilson(right: int, count: int) -> Interval:
    """The 95 % score interval of the fraction `right` / `count`, with count > 0 (Wilson 1927)."""
    middle = (right + Z2 / 2) / (count + Z2)
    half = math.sqrt(Z2 * (right * (count - right) / count + Z2 / 4)) / (count + Z2)
    return 0.0 if right == 0 else middle - half, 1.0 if right == count else middle + half


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """The exact two-sided p-value of the hypothesis that two classifiers have the same accuracy (McNemar 1947).

    first, second: bool [n], whether each classifies the same image correctly. It is a binomial test on the images
    that exactly one of them classifies correctly.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def accuracy_change(labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[float, Interval]:
    """(change of the accuracy in points, its paired 95 % bootstrap interval).

    labels: int64 [n]; before, after: probabilities float [n, k] for the same images. Where no image makes a difference,
    others still may: the interval holds at least what Tango's (1998) then does, around the change.
    """
    gained = (after.argmax(1) == labels).astype(np.float32) - (before.argmax(1) == labels).astype(np.float32)
    hidden = 100 * Fraction(0.0, len(labels)).hidden
    change = 100 * float(gained.mean())
    drawn = np.concatenate([gained @ weights / len(labels) for weights in resamples(labels, RESAMPLES)])
    low, high = percentile_interval(100 * drawn) or (change, change)
    return change, (min(low, change - hidden), max(high, change + hidden))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for multiple comparisons (Holm 1979), in the given order; NaN stays NaN."""
    p = np.asarray(p_values, np.float64)
    defined = np.flatnonzero(np.isfinite(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted.tolist()


def verdict(differences: np.ndarray, hidden: float = 0.0) -> tuple[Interval | None, float]:
    """(interval, p-value) of the difference between two measures, from its resamples: float [r].

    hidden: see `percentile_interval`.

    The p-value is two-sided: twice the fraction of resamples on the rarer side of 0, with one resample added to
    both counts (Davison & Hinkley 1997, section 4.2). If fewer than 20 resamples lie there, the tail of the normal
    distribution with the mean and standard deviation of the resamples is used, if it is smaller: 2,000 resamples
    cannot resolve p-values below 0.001, but the adjustment for many pairs needs them.
    """
    from scipy.special import ndtr

    found = percentile_interval(differences, hidden)
    if found is None:
        return None, math.nan
    defined = differences[np.isfinite(differences)]
    rarer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    p = min(1.0, 2 * (rarer + 1) / (len(defined) + 1))
    deviation = float(defined.std(ddof=1)) if len(defined) > 1 else 0.0
    if rarer < MIN_TAIL and deviation > 0:
        p = min(p, 2 * float(ndtr(-abs(float(defined.mean())) / deviation)))
    return found, p


@dataclass(frozen=True)
class Uncertain:
    """A value that varies with the test images and with the seeds.

    mean: float64 [r], the value on resamples of the images; variance: the variance caused by the seeds; degrees:
    its degrees of freedom. Both are 0 if only one seed is known. hidden: see `percentile_interval`.
    """

    mean: np.ndarray
    variance: float
    degrees: float
    hidden: float = 0.0

    def fraction_below(self, value: float) -> float:
        """The probability of a result below `value`: Student's distribution (1908) around each resample, averaged."""
        from scipy.special import stdtr

        return float(stdtr(self.degrees, (value - self._defined()) / math.sqrt(self.variance)).mean())

    def _defined(self) -> np.ndarray:
        return self.mean[np.isfinite(self.mean)]

    def interval(self) -> Interval | None:
        """The middle 95 % of the distribution over images and seeds.

        Without variance over the images it equals Student's interval; without variance over the seeds, the
        percentile interval.
        """
        resampled = percentile_interval(self.mean, self.hidden)
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
        """(interval, two-sided p-value of the hypothesis that the value is 0)."""
        if not self.variance > 0:
            return verdict(self.mean, self.hidden)
        found = self.interval()
        if found is None:
            return None, math.nan
        below = self.fraction_below(0.0)
        return found, min(1.0, 2 * min(below, 1 - below))


@dataclass(frozen=True)
class OverSeeds:
    """A measure of a recipe that was trained with one or more seeds, on resamples of the images.

    mean: float64 [r], the mean over the runs on each resample; run_variance: the variance of one run over the seeds
    (0 if there is only one run); runs: the number of runs; fraction: the mean over the runs as a fraction of images,
    None if it is none.
    """

    mean: np.ndarray
    run_variance: float
    runs: int
    fraction: Fraction | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, values: np.ndarray, observed: np.ndarray, fraction: Fraction | None = None) -> OverSeeds:
        """values: float64 [runs, r], each run on each resample; observed: float64 [runs], each run on the test set.

        Runs differ because of their seeds and because of this test set. The resampled mean already contains the
        variation caused by the test set, so it is subtracted from the variance over the runs. Its size is the
        increase of that variance under resampling. With two runs nothing is subtracted: a variance with one degree
        of freedom is so imprecise that the result would too often be 0.
        """
        runs = len(values)
        if runs == 1:
            return cls(values[0], 0.0, 1, fraction=fraction)
        within = values.var(axis=0, ddof=1)
        within = within[np.isfinite(within)]
        observed_variance = float(observed.var(ddof=1))
        by_images = max(float(within.mean()) - observed_variance, 0.0) if runs > 2 and len(within) else 0.0
        return cls(values.mean(axis=0), max(observed_variance - by_images, 0.0), runs, fraction=fraction)

    @property
    def scored(self) -> np.ndarray:
        """The mean on each resample, as `Fraction.scored` has it: float64 [r]."""
        return self.mean if self.fraction is None else self.fraction.scored(self.mean)

    @property
    def hidden(self) -> float:
        return self.fraction.hidden if self.fraction else 0.0

    @property
    def uncertain(self) -> Uncertain:
        """The mean over the seeds, with its uncertainty."""
        return Uncertain(self.scored, self.run_variance / self.runs, self.runs - 1)

    def minus(self, other: OverSeeds) -> Uncertain:
        """The difference between two recipes with independent seeds (Welch 1947).

        A single run is assumed to vary over seeds as much as the runs of the other recipe.
        """
        mine = other.run_variance if self.runs == 1 else self.run_variance
        theirs = self.run_variance if other.runs == 1 else other.run_variance
        parts = [(mine / self.runs, self.runs - 1), (theirs / other.runs, other.runs - 1)]
        total = sum(variance for variance, _ in parts)
        if 1 in (self.runs, other.runs):
            degrees = float(max(degrees for _, degrees in parts))  # only the other's variance is known
        else:
            weight = sum(variance**2 / degrees for variance, degrees in parts)
            degrees = total**2 / weight if weight > 0 else 0.0
        return Uncertain(self.mean - other.mean, total, degrees, max(self.hidden, other.hidden))
