"""Split conformal prediction: sets of classes that hold the true one in a stated fraction of images.

A score says how badly a class fits an image. The threshold is a quantile of the scores of the true classes of n
calibration images. A new image of the same kind has its true class at or below it with probability
ceil((n + 1) × level) / (n + 1) or more, whatever the model (Vovk et al. 2005; Lei et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def lac_scores(probabilities: np.ndarray) -> np.ndarray:
    """1 minus the probability of each class: float [n, k]. Gives the smallest sets (Sadinle, Lei & Wasserman 2019)."""
    return 1.0 - probabilities


def aps_scores(probabilities: np.ndarray) -> np.ndarray:
    """The probability of each class and of all more probable ones: float [n, k] (Romano, Sesia & Candès 2020).

    Without their random term, so that an image always gets the same set; sets are larger for it, never too small.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    scores = np.empty_like(sums)
    np.put_along_axis(scores, order, sums.round(12), axis=1)  # sums of 1 differ in their last digits
    return scores


METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"lac": lac_scores, "aps": aps_scores}


def rank(count: int, level: float) -> int:
    """The rank, from 1, of the score that is the threshold of `count` calibration images."""
    return math.ceil(round((count + 1) * level, 9))  # rounded: 100 × 0.99 is 99.00000000000001 in floating point


def needed(level: float) -> int:
    """How many calibration images a level needs at least: 9 for 90 %, 19 for 95 %, 99 for 99 %."""
    return math.ceil(round(level / (1 - level), 9))


def exceeding(count: int, level: float) -> tuple[float, float]:
    """The 95 % interval of the fraction of further images that exceed a threshold fitted on `count` images.

    The fraction below it has a Beta distribution (Vovk 2012, "Conditional validity of inductive conformal predictors").
    """
    from scipy.special import betaincinv

    place = rank(count, level)
    low, high = (float(betaincinv(count + 1 - place, place, end)) for end in (0.025, 0.975))
    return low, high


def threshold(scores: np.ndarray, level: float) -> float:
    """The conformal quantile of the scores [n]. Raises ValueError if they are too few for the level."""
    place = rank(len(scores), level)
    if place > len(scores):
        raise ValueError(f"{len(scores)} images can't hold {level:g}; it needs {needed(level)}")
    return float(np.partition(scores, place - 1)[place - 1])


@dataclass(frozen=True)
class Sets:
    """The rule of prediction sets at one level.

    marginal: the threshold for every class, so that the level holds over all images; by_class: the thresholds float
    [k] with which it holds for each class with enough images; guaranteed: bool [k], which classes these are.
    """

    level: float
    method: str
    marginal: float
    by_class: np.ndarray
    guaranteed: np.ndarray

    @classmethod
    def fit(cls, labels: np.ndarray, probabilities: np.ndarray, level: float, method: str) -> Sets:
        """labels: int64 [n]; probabilities: float [n, k]. Raises ValueError if the images are too few."""
        scores = METHODS[method](probabilities)[np.arange(len(labels)), labels]
        marginal, classes = threshold(scores, level), probabilities.shape[1]
        guaranteed = np.bincount(labels, minlength=classes) >= needed(level)
        by_class = np.array([threshold(scores[labels == label], level) if guaranteed[label] else marginal
                             for label in range(classes)])
        return cls(level, method, marginal, by_class, guaranteed)

    def raw(self, probabilities: np.ndarray, by_class: bool = False) -> np.ndarray:
        """Which classes belong to the set of each image, bool [n, k]; a set may be empty."""
        return METHODS[self.method](probabilities) <= (self.by_class if by_class else self.marginal)

    def shown(self, probabilities: np.ndarray, by_class: bool = False) -> np.ndarray:
        """The same sets, with the most probable class in each: none is empty, so they cover as much or more."""
        chosen = self.raw(probabilities, by_class)
        chosen[np.arange(len(chosen)), probabilities.argmax(axis=1)] = True
        return chosen


def coverage(chosen: np.ndarray, labels: np.ndarray) -> tuple[int, float]:
    """(images whose set holds their true class, mean number of classes in a set); chosen: bool [n, k]."""
    return int(chosen[np.arange(len(labels)), labels].sum()), float(chosen.sum(axis=1).mean()) if len(labels) else 0.0
