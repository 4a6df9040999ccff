"""The input of every metric: labels and probabilities of a split, with weights of its images.

A metric is defined once, for weighted images. Weights of 1 give its value. Weights equal to the counts of a bootstrap
resample give its value on that resample. One call computes many resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Ranking:
    """The images sorted by the probability of one class. The areas under its curves are computed from it.

    positives: int64 [p], the images of the class, by ascending probability; steps: sparse [s, n], the images whose
    probabilities lie between two neighbouring limits, with s limits; below, above: int64 [p], the number of the limit
    with the images of a lower (above: lower or equal) probability; lower_positives: int64 [p], the number of images
    of the class with a lower probability.
    """

    positives: np.ndarray
    steps: sparse.csr_array
    below: np.ndarray
    above: np.ndarray
    lower_positives: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, positive: np.ndarray) -> Ranking:
        """scores: float [n], the probabilities of the class; positive: bool [n], whether an image belongs to it."""
        order = np.argsort(scores, kind="stable")
        positives = order[positive[order]]
        ascending = scores[order]
        below = np.searchsorted(ascending, scores[positives], side="left")
        above = np.searchsorted(ascending, scores[positives], side="right")
        lower = np.searchsorted(scores[positives], scores[positives], side="left")
        limits = np.unique(np.concatenate([[0], below, above, [len(order)]]))
        steps = sparse.csr_array((np.ones(len(order), np.float32), order, limits), (len(limits) - 1, len(order)))
        return cls(positives, steps, np.searchsorted(limits, below), np.searchsorted(limits, above), lower)

    def sums(self, weights: np.ndarray) -> np.ndarray:
        """The weights [n, b] of all images up to each limit: [s + 1, b]. The last limit has all images."""
        return running_sums(self.steps @ weights)


@dataclass(frozen=True)
class Predictions:
    """Labels, int64 [n], and probabilities, float [n, k], of one split; n > 0, all finite."""

    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def classes(self) -> int:
        return self.probabilities.shape[1]

    @cached_property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, the first one in a tie: int64 [n]."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether the most probable class is the true class: bool [n]."""
        return self.predicted == self.labels

    @cached_property
    def true_probability(self) -> np.ndarray:
        """The probability of the true class of each image: float [n]."""
        return self.probabilities[np.arange(len(self.labels)), self.labels]

    @cached_property
    def rankings(self) -> list[Ranking]:
        """The ranking of the images by each class."""
        return [Ranking.of(self.probabilities[:, c], self.labels == c) for c in range(self.classes)]


@dataclass(frozen=True)
class Weighted:
    """Predictions with b sets of weights, float [n, b], each ≥ 0. Results are float64; 0/0 gives NaN."""

    predictions: Predictions
    weights: np.ndarray

    @classmethod
    def evenly(cls, predictions: Predictions) -> Weighted:
        """All weights 1, with b = 1."""
        return cls(predictions, np.ones((len(predictions.labels), 1)))

    @cached_property
    def total(self) -> np.ndarray:
        """The sum of the weights: [b]."""
        return self.weights.sum(axis=0, dtype=np.float64)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The weighted mean of values [n]: [b]."""
        return quotient(np.asarray(values, np.float64) @ self._exact, self.total)

    def sums(self, groups: np.ndarray, count: int, values: np.ndarray) -> np.ndarray:
        """The weighted sum of the values [n] in each group: [count, b]; groups: int64 [n], the group of each image."""
        rows = sparse.csr_array((values, (groups, np.arange(len(groups)))), (count, len(groups)))
        return rows @ self._exact

    @cached_property
    def _exact(self) -> np.ndarray:
        return self.weights.astype(np.float64)

    @cached_property
    def true(self) -> np.ndarray:
        """Number of images of each class: [k, b]."""
        return self._by_class(self.predictions.labels)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Number of images predicted as each class: [k, b]."""
        return self._by_class(self.predictions.predicted)

    @cached_property
    def right(self) -> np.ndarray:
        """Number of images of each class that are predicted as it: [k, b]."""
        return self._by_class(self.predictions.labels, self.predictions.correct)

    def _by_class(self, classes: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
        ones = np.ones(len(classes)) if counted is None else counted.astype(np.float64)
        return self.sums(classes, self.predictions.classes, ones)

    @property
    def areas(self) -> np.ndarray:
        """Area under the ROC curve of each class against all others: [k, b].

        Computed from rank sums (Hanley & McNeil 1982); ties count half. NaN if all images or no images belong to
        the class.
        """
        return self._under_curves[0]

    @property
    def precisions(self) -> np.ndarray:
        """Average precision of each class, the mean of the precision at each of its images: [k, b]."""
        return self._under_curves[1]

    @cached_property
    def _under_curves(self) -> np.ndarray:
        """Areas under the ROC curves and average precisions: [2, k, b]."""
        return np.stack([_curves(self.weights, ranking) for ranking in self.predictions.rankings], axis=1)

    @cached_property
    def balanced_areas(self) -> np.ndarray:
        """The areas under the ROC curves if all other classes were equally frequent: [k, b].

        This equals the mean area of the class against each single other class (Hand & Till 2001).
        """
        scale = np.nan_to_num(quotient(np.ones_like(self.true), self.true))
        balanced = self.weights * scale[self.predictions.labels]
        return np.stack([_curves(balanced, ranking)[0] for ranking in self.predictions.rankings])


def _curves(weights: np.ndarray, ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """(area under the ROC curve, average precision) of one class with weights [n, b]: [b] each."""
    b = weights.shape[1]
    if not len(ranking.positives):
        return np.full(b, np.nan), np.full(b, np.nan)
    sums, own = ranking.sums(weights), weights[ranking.positives]
    own_sums = running_sums(own)
    positives, total = own_sums[-1].astype(np.float64), sums[-1].astype(np.float64)
    below = sums[ranking.below]
    ranks = np.einsum("pb,pb->b", own, below + sums[ranking.above], dtype=np.float64) / 2
    area = quotient(ranks - positives**2 / 2, positives * (total - positives))
    at_least = positives - own_sums[ranking.lower_positives]
    precision = np.divide(at_least, total - below, out=np.zeros(at_least.shape), where=own > 0)
    return area, quotient(np.einsum("pb,pb->b", own, precision, dtype=np.float64), positives)


def running_sums(values: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, …, n rows of values [n, b]: [n + 1, b]."""
    sums = np.zeros((len(values) + 1, values.shape[1]), values.dtype)
    np.cumsum(values, axis=0, out=sums[1:])
    return sums


def quotient(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """over / under in float64; NaN where `under` is 0."""
    over, under = np.broadcast_arrays(over, under)
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
