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
    """The images of one class in groups of equal probability, ascending, and where all other images lie among them.

    own: sparse [g, n], the images of each group; others: sparse [2g + 1, n], in turn the other images with a
    probability below a group (but not below one before it), and those with that of the group.
    """

    own: sparse.csr_array
    others: sparse.csr_array

    @classmethod
    def of(cls, scores: np.ndarray, positive: np.ndarray) -> Ranking:
        """scores: float [n], the probabilities of the class; positive: bool [n], whether an image belongs to it."""
        values, group = np.unique(scores[positive], return_inverse=True)
        places = sum(np.searchsorted(values, scores[~positive], side) for side in ("left", "right"))
        return cls(_rows(group, positive, len(values)), _rows(places, ~positive, 2 * len(values) + 1))

    def others_up_to(self, weights: np.ndarray) -> np.ndarray:
        """The weights [n, b] of the other images up to each row of `others`: [2g + 1, b]. The last one has them all."""
        sums = self.others @ weights
        return np.cumsum(sums, axis=0, out=sums)


def _rows(places: np.ndarray, images: np.ndarray, count: int) -> sparse.csr_array:
    """A matrix [count, n] that adds up the chosen images (bool [n]) in rows; places: int [chosen], the row of each."""
    columns = np.flatnonzero(images)
    return sparse.csr_array((np.ones(len(columns), np.float32), (places, columns)), (count, len(images)))


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

        Computed by counting pairs (Hanley & McNeil 1982); ties count half. NaN if all images or no images belong to
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
        return np.stack([_area((ranking.own @ self.weights).astype(np.float64), ranking.others_up_to(balanced))
                         for ranking in self.predictions.rankings])


def _curves(weights: np.ndarray, ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """(area under the ROC curve, average precision) of one class with weights [n, b]: [b] each; NaN without images."""
    own, others = (ranking.own @ weights).astype(np.float64), ranking.others_up_to(weights).astype(np.float64)
    at_least = np.cumsum(own[::-1], axis=0)[::-1]  # images of the class with at least the probability of each group
    seen = at_least + (others[-1] - others[:-1:2])
    precision = at_least / np.maximum(seen, np.finfo(np.float64).tiny)  # 0 without any
    return _area(own, others), quotient((own * precision).sum(axis=0), own.sum(axis=0))


def _area(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The area under a ROC curve [b], the fraction of other images below each image of the class; ties count half.

    own: float64 [g, b], the weights of each group; others: as from `Ranking.others_up_to`.
    """
    lower = (others[:-1:2] + others[1::2]) / 2
    return quotient((own * lower).sum(axis=0), own.sum(axis=0) * others[-1])


def quotient(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """over / under in float64; NaN where `under` is 0."""
    over, under = np.broadcast_arrays(over, under)
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
