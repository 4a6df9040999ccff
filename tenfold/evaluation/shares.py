"""Label shift: the share of each class among images without labels, if every class looks as it did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenfold.evaluation.statistics import holm

STEPS, TOLERANCE = 1000, 1e-9
SMALLEST = 1e-6  # share of a class: so that none is divided by zero, and that counts as none
LEVEL = 0.05


@dataclass(frozen=True)
class Share:
    """The share of a class among the known images, and among the new ones with its 95 % interval.

    p: of the hypothesis that both are equal, adjusted over the classes (Holm 1979).
    """

    before: float
    after: float
    low: float
    high: float
    p: float

    @property
    def changed(self) -> bool:
        return self.p < LEVEL


def shares(labels: np.ndarray, known: np.ndarray, new: np.ndarray) -> list[Share]:
    """The shares of the k classes by expectation maximisation on calibrated probabilities (Saerens et al. 2002).

    labels: int64 [n] of the known images; known, new: calibrated probabilities float [n, k] and [m, k]. Intervals come
    from the Fisher information at the estimate, tests from that under the known shares.
    """
    from scipy.stats import norm

    classes, count = known.shape[1], len(new)
    before = np.bincount(labels, minlength=classes) / len(labels)
    prior = np.maximum(known.mean(axis=0, dtype=np.float64), SMALLEST)
    weights = _mixture(new.astype(np.float64) / prior, prior / prior.sum())
    # The model's mean probability of a class need not be the share of the class: both are relative to the former.
    scale = before / prior
    after = weights * scale / ((weights * scale).sum() or 1.0)
    one_more = (count * weights + 1) / (count + classes)  # an image of each class, so that none has an impossible share
    ratios = known.astype(np.float64) / prior
    likely = one_more[labels] / np.maximum(before, SMALLEST)[labels]
    far = norm.ppf(0.975) * _deviations(ratios, one_more, likely, count)
    same = [_deviations(ratios, prior / prior.sum(), np.ones(len(labels)), n) for n in (count, len(labels))]
    unsure = np.hypot(*same)  # the known images are a sample too
    p = holm((2 * norm.sf(np.abs(after - before) / np.maximum(unsure, SMALLEST))).tolist())
    return [Share(*map(float, row)) for row in
            zip(before, after, np.maximum(after - far, 0), np.minimum(after + far, 1), p, strict=True)]


def _mixture(ratios: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The most likely weights of a mixture, float64 [k].

    ratios: float64 [m, k], the density of each image under each class, up to a factor for each image.
    """
    weights = start
    for _ in range(STEPS):
        parts = ratios * weights
        after = (parts / np.maximum(parts.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
        if np.abs(after - weights).max() < TOLERANCE:
            break
        weights = after
    return weights


def _deviations(ratios: np.ndarray, weights: np.ndarray, likely: np.ndarray, count: int) -> np.ndarray:
    """The standard deviations of the weights estimated from `count` images if `weights` are the true ones, float64 [k].

    ratios: float64 [n, k] of known images; likely: float64 [n], how much likelier each is among images of such weights.
    """
    scores = ratios / np.maximum((ratios * weights).sum(axis=1, keepdims=True), 1e-300)
    inverse = np.linalg.pinv(count / likely.sum() * (scores.T @ (scores * likely[:, None])), hermitian=True)
    rows = inverse.sum(axis=1)
    covariance = inverse - np.outer(rows, rows) / max(rows.sum(), 1e-300)  # the weights sum to one
    return np.minimum(np.sqrt(np.maximum(np.diag(covariance), 0)), 1)
