"""The input of every metric: labels and probabilities of a split, with weights of its images.

A metric is defined once, for weighted images. Weights of 1 give its value. Weights equal to the counts of a bootstrap
resample give its value on that resample. One call computes many resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

ROWS = 32  # in a block of running sums


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
    def wrong(self) -> np.ndarray:
        """Number of misclassified images of each class: int64 [k]."""
        return np.bincount(self.labels[~self.correct], minlength=self.classes)

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
    """Predictions with b sets of weights, float [n, b], each ≥ 0. Results are float64; 0/0 gives NaN.

    Numbers of images add up in the dtype of the weights, which is exact in float32 up to 16 million images.
    """

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
        sums = np.einsum("n,nb->b", np.asarray(values, np.float64), self._exact)  # not `@`, which takes all cores
        return quotient(sums, self.total)

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
    def _own(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The weight of each group of each class, and of it and all groups above: [g, b]."""
        own = [ranking.own @ self.weights for ranking in self.predictions.rankings]
        return [(each, _at_least(each)) for each in own]

    @cached_property
    def _under_curves(self) -> np.ndarray:
        """Areas under the ROC curves and average precisions: [2, k, b]."""
        return np.stack([_curves(*own, ranking.others @ self.weights)
                         for own, ranking in zip(self._own, self.predictions.rankings, strict=True)], axis=1)

    @cached_property
    def balanced_areas(self) -> np.ndarray:
        """The areas under the ROC curves if all other classes were equally frequent: [k, b].

        This equals the mean area of the class against each single other class (Hand & Till 2001).
        """
        scale = np.nan_to_num(quotient(np.ones_like(self.true), self.true))
        balanced = self.weights * scale[self.predictions.labels]
        return np.stack([_area(*own, ranking.others @ balanced)
                         for own, ranking in zip(self._own, self.predictions.rankings, strict=True)])


def _curves(own: np.ndarray, at_least: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(area under the ROC curve, average precision) of one class: [b] each; NaN without images. Arguments: see `_area`.
    """
    seen = _at_least(own + others[1::2] + others[2::2])
    precision = at_least / np.maximum(seen, np.finfo(seen.dtype).tiny)  # 0 without any
    return _area(own, at_least, others), quotient(_products(own, precision), own.sum(axis=0))


def _area(own: np.ndarray, at_least: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The area under a ROC curve [b]: how often an image of the class has a higher probability than another one.

    own, at_least: float [g, b], the weights of each group, and of it and all above; others: float [2g + 1, b], as
    `Ranking` has them.
    """
    higher = _products(others[:-1:2], at_least) + _products(others[1::2], at_least - own / 2)
    return quotient(higher, own.sum(axis=0) * others.sum(axis=0))


def _products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The sums of the products of [g, b] and [g, b]: float64 [b]."""
    return np.asarray(np.einsum("gb,gb->b", first, second, dtype=np.float64))


def _at_least(values: np.ndarray) -> np.ndarray:
    """The sum of each row of [g, b] and all rows after it: [g, b]."""
    return running(values[::-1])[::-1]


def running(values: np.ndarray) -> np.ndarray:
    """The sum of each row of [g, b] and all rows before it: [g, b].

    NumPy's `cumsum` along the first axis takes longer than all other steps of a metric, so many rows are added at once.
    """
    count, columns = values.shape
    blocks = np.zeros((-(-count // ROWS), ROWS, columns), values.dtype)
    sums = blocks.reshape(-1, columns)[:count]
    sums[:] = values
    for row in range(1, ROWS):
        blocks[:, row] += blocks[:, row - 1]
    blocks[1:] += np.cumsum(blocks[:-1, -1], axis=0)[:, np.newaxis]
    return sums


def quotient(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """over / under in float64; NaN where `under` is 0."""
    over, under = np.broadcast_arrays(over, under)
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
