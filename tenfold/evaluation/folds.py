"""The uncertainty of cross-validation: a measure over all images, each predicted by the fold that left it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tenfold.evaluation.statistics import Fraction, OverSeeds, Uncertain
from tenfold.evaluation.weighted import Predictions


def pooled(folds: Sequence[Predictions]) -> Predictions:
    """The predictions of all folds, in the order of the folds."""
    return Predictions(np.concatenate([each.labels for each in folds]),
                       np.concatenate([each.probabilities for each in folds]))


@dataclass(frozen=True)
class OverFolds(OverSeeds):
    """A measure of a recipe that was trained once for each fold, without it.

    mean: float64 [r], the measure over all images on each resample of them, or its mean over the folds; by_fold:
    float64 [k, r], the measure of each fold on resamples of its images; observed: float64 [k], the measure of each
    fold. Measures of two recipes on the same folds are paired: the same resamples, the same folds.
    """

    by_fold: np.ndarray
    observed: np.ndarray

    @classmethod
    def over(cls, mean: np.ndarray, by_fold: np.ndarray, observed: np.ndarray,
             fraction: Fraction | None = None) -> OverFolds:
        """The measure over all images, or its mean, and of each fold; see the class."""
        return cls(mean, _variance_of_training(by_fold, observed), len(observed), by_fold, observed, fraction=fraction)

    @property
    def uncertain(self) -> Uncertain:
        """The measure over all images, with its uncertainty over images and trainings.

        Folds differ because of their images and because of their trainings. The resampled images already tell the
        former, so it is subtracted from the variance over the folds. The trainings share most of their images, so the
        rest has the variance (1/k + 1/(k - 1)) of that of one training (Nadeau & Bengio 2003, section 3, with
        n_test / n_train = 1/(k - 1)), with k - 1 degrees of freedom.
        """
        k = self.runs
        return Uncertain(self.scored, self.run_variance * (1 / k + 1 / (k - 1)), k - 1)

    def minus(self, other: OverSeeds) -> Uncertain:
        """The difference between two recipes on the same folds."""
        assert isinstance(other, OverFolds)
        difference = OverFolds.over(self.mean - other.mean, self.by_fold - other.by_fold,
                                    self.observed - other.observed)
        return replace(difference.uncertain, hidden=max(self.hidden, other.hidden))


def _variance_of_training(by_fold: np.ndarray, observed: np.ndarray) -> float:
    """The variance over folds that their images do not explain, from the folds where the measure is defined."""
    defined = np.isfinite(observed) & (np.isfinite(by_fold).sum(axis=1) > 1)
    if defined.sum() < 2:
        return 0.0
    by_images = np.nanvar(by_fold[defined], axis=1, ddof=1).mean()
    return max(float(observed[defined].var(ddof=1) - by_images), 0.0)
