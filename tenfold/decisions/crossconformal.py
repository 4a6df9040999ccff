"""Cross-conformal prediction: sets of classes from the models of a cross-validation, with no images held out.

Every image is scored by the model that has not learnt from its fold. A new image is scored by all models. A class is
left out of its set if nearly all images fit their true class better, each compared under the model of its own fold
(Vovk 2015; Romano, Sesia & Candès 2020, algorithm 2, "CV+").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.decisions.conformal import METHODS, rank

DIGITS = 6  # to which scores are rounded: other runtimes differ in further ones
MOST = 5000  # images whose scores are kept, evenly spaced in each fold


def promised(counts: Sequence[int], level: float) -> float:
    """The fraction of further images whose set holds the true class, whatever the models; counts: images by fold.

    The images of a fold at least as bad as a new one, plus 1, divided by their number plus 1, are a p-value of the true
    class, because the model of the fold knows neither. A set lacks the true class if the mean of these p-values,
    weighted by their denominators, is at most a = (K + needed - 1) / (n + K). A weighted mean of p-values is at most a
    with a probability of at most 2a (Vovk & Wang 2020). In practice, the sets hold it about as often as the level says.
    """
    images, folds = sum(counts), len(counts)
    return max(0.0, 1 - 2 * (folds + _needed(images, level) - 1) / (images + folds))


def _needed(images: int, level: float) -> int:
    """How many images must fit their true class as badly as a class of a new image, so that this belongs to the set."""
    return images + 1 - rank(images, level)


@dataclass(frozen=True)
class CrossSets:
    """The rule of prediction sets at one level; scores: those of the true classes in each fold, float64, ascending."""

    level: float
    method: str
    scores: Sequence[np.ndarray]

    @classmethod
    def fit(cls, folds: Sequence[tuple[np.ndarray, np.ndarray]], level: float, method: str) -> CrossSets:
        """folds: (labels int64 [n], probabilities float [n, k] by the model without it) of each fold.

        Raises ValueError if there are too few images for the level.
        """
        images, scores = sum(len(labels) for labels, _ in folds), []
        for labels, probabilities in folds:
            count = len(labels)
            kept = np.unique(np.linspace(0, count - 1, min(count, -(-MOST * count // images))).astype(np.int64))
            found = METHODS[method](probabilities[kept])[np.arange(len(kept)), labels[kept]]
            scores.append(np.sort(found.astype(np.float64).round(DIGITS)))
        return cls.of(level, method, scores)

    @classmethod
    def of(cls, level: float, method: str, scores: Sequence[np.ndarray]) -> CrossSets:
        """The rule with these scores. Raises ValueError if they are too few for the level."""
        images = sum(map(len, scores))
        if rank(images, level) > images:
            raise ValueError(f"{images} images can't hold {level:g}")
        return cls(level, method, scores)

    @property
    def promised(self) -> float:
        """See `promised`."""
        return promised([len(scores) for scores in self.scores], self.level)

    def raw(self, members: np.ndarray) -> np.ndarray:
        """Which classes belong to the set of each image, bool [n, k]; members: float [n, folds, k], of every model."""
        worse = np.zeros((len(members), members.shape[2]), np.int64)
        for fold, scores in enumerate(self.scores):
            found = METHODS[self.method](members[:, fold].astype(np.float64)).round(DIGITS)
            worse += len(scores) - np.searchsorted(scores, found, side="left")
        return worse >= _needed(sum(map(len, self.scores)), self.level)

    def shown(self, members: np.ndarray) -> np.ndarray:
        """The same sets, with the class in each that is most probable in the mean of all models."""
        chosen = self.raw(members)
        chosen[np.arange(len(chosen)), members.mean(axis=1).argmax(axis=1)] = True
        return chosen


def members(features: np.ndarray, folds: int, classes: int) -> np.ndarray:
    """The probabilities of each model, float64 [n, folds, k], from the features [n, d] of their ensemble.

    Raises ValueError if the features are too few.
    """
    start = features.shape[1] - (folds + 1) * classes
    if start < 0:
        raise ValueError(f"{features.shape[1]} features can't hold the probabilities of {folds} models")
    found = features[:, start : start + folds * classes].astype(np.float64)
    return np.exp(found).reshape(len(features), folds, classes)
