"""Unknown images: scores that are high for images of none of the classes.

A score reads the logits and the features of an image, the input of the logits layer. Features are projected to at most
128 directions, so that the arrays of a score take little space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.decisions.covariance import shrunk
from tenfold.decisions.packed import pack, unpack
from tenfold.decisions.pixels import Usual

if TYPE_CHECKING:
    from tenfold.decisions.record import UnknownRule

DIRECTIONS = 128
MOST_NUMBERS = 400_000  # of a projection: in base64 of float16, 1.1 MB
MOST_EXACT = 2048  # features of which the principal directions are those of all images, else of as many images
PROTOTYPES = 1000
LEAST = 1e-3  # standard deviation of a score that tells images apart
NEAREST = 5

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Evidence:
    """What a model says of n labelled images: logits float [n, k], features float [n, d], labels int64 [n]; and what
    their pixels are like: `pixels.statistics` float32 [n, s], None if nothing is known of them.
    """

    logits: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    statistics: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> Evidence:
        """The images at these indices, or where a mask is true."""
        return Evidence(self.logits[chosen], self.features[chosen], self.labels[chosen],
                        None if self.statistics is None else self.statistics[chosen])


@dataclass(frozen=True)
class Score:
    """`fit` derives arrays from training images and their principal directions; `score` takes these arrays, logits
    float [n, k] and features float [n, d], and gives float64 [n]. shapes: array → a letter for each of its axes. Axes
    of one letter have one length; d is that of features.
    """

    fit: Callable[[Evidence, Arrays], dict[str, np.ndarray]]
    score: Callable[[Arrays, np.ndarray, np.ndarray], np.ndarray]
    shapes: Mapping[str, str] = field(default_factory=dict)


def maximum_softmax(arrays: Arrays, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
    """1 minus the highest probability (Hendrycks & Gimpel 2017)."""
    from_top = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(1 - 1 / np.exp(from_top).sum(axis=1))


def maximum_logit(arrays: Arrays, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Minus the highest logit (Vaze et al. 2022)."""
    return -logits.max(axis=1).astype(np.float64)


def energy(arrays: Arrays, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Minus the logarithm of the sum of the exponentials of the logits (Liu et al. 2020)."""
    top = logits.max(axis=1, keepdims=True).astype(np.float64)
    return np.asarray(-(top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))))


def fit_mahalanobis(train: Evidence, space: Arrays) -> dict[str, np.ndarray]:
    """The mean of each class, and directions in which the classes have unit covariance."""
    projected = project(space, train.features)
    present = np.unique(train.labels)
    means = np.stack([projected[train.labels == label].mean(axis=0) for label in present])
    within = projected - means[np.searchsorted(present, train.labels)]
    values, vectors = np.linalg.eigh(shrunk(within))
    whiten = vectors / np.sqrt(np.maximum(values, values.max() * 1e-6 + 1e-12))
    return {"centre": space["centre"], "directions": space["directions"] @ whiten, "means": means @ whiten}


def mahalanobis(arrays: Arrays, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The squared distance to the nearest class mean, in units of the classes' common covariance (Lee et al. 2018)."""
    return _distances(project(arrays, features), arrays["means"]).min(axis=1)


def angle(arrays: Arrays, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The same distance after both were brought to length 1: only directions from the centre count."""
    return _distances(_unit(project(arrays, features)), _unit(arrays["means"])).min(axis=1)


def fit_neighbours(train: Evidence, space: Arrays) -> dict[str, np.ndarray]:
    """Training images as prototypes, on the unit sphere of the principal directions."""
    chosen = np.linspace(0, len(train.labels) - 1, min(PROTOTYPES, len(train.labels))).astype(np.int64)
    return {**space, "prototypes": _unit(project(space, train.features[chosen]))}


def neighbours(arrays: Arrays, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The distance to the fifth nearest prototype on the unit sphere (Sun et al. 2022)."""
    found = _distances(_unit(project(arrays, features)), arrays["prototypes"])
    nth = min(NEAREST, found.shape[1]) - 1
    return np.partition(found, nth, axis=1)[:, nth]


def fit_both(train: Evidence, space: Arrays) -> dict[str, np.ndarray]:
    """The arrays of `angle`, and mean and standard deviation of both scores on the training images."""
    arrays = fit_mahalanobis(train, space)
    values = [score(arrays, train.logits, train.features) for score in (energy, angle)]
    return {**arrays, "scales": np.array([[each.mean(), max(each.std(), LEAST)] for each in values])}


def both(arrays: Arrays, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The sum of `energy` and `angle`, both standardised on the training images."""
    found = zip((energy, angle), arrays["scales"].astype(np.float64), strict=True)
    return np.asarray(sum((score(arrays, logits, features) - mean) / deviation for score, (mean, deviation) in found))


MEANS = {"centre": "d", "directions": "dm", "means": "qm"}
NEIGHBOURS = {"centre": "d", "directions": "dm", "prototypes": "qm"}

# Scores of logits alone, and all scores.
LOGIT_SCORES: dict[str, Score] = {
    "maximum softmax": Score(lambda train, space: {}, maximum_softmax),
    "maximum logit": Score(lambda train, space: {}, maximum_logit),
    "energy": Score(lambda train, space: {}, energy),
}
SCORES: dict[str, Score] = LOGIT_SCORES | {
    "mahalanobis": Score(fit_mahalanobis, mahalanobis, MEANS),
    "angle": Score(fit_mahalanobis, angle, MEANS),
    "neighbours": Score(fit_neighbours, neighbours, NEIGHBOURS),
    "energy and angle": Score(fit_both, both, MEANS | {"scales": "22"}),
}


@dataclass(frozen=True)
class Unknowns:
    """The rule that finds unknown images: those whose score is above the threshold.

    score: a name in `SCORES`; false_rejects: the fraction of images of the classes that it finds too; auroc: score →
    how well it found left-out classes, by which it was chosen, empty if none was tried; usual: adds to the score of
    images with unusual pixels, None in rules of earlier versions.
    """

    score: str
    arrays: Arrays
    threshold: float
    false_rejects: float
    auroc: Mapping[str, float]
    usual: Usual | None = None

    def scores(self, logits: np.ndarray, features: np.ndarray, statistics: np.ndarray | None) -> np.ndarray:
        """logits: float [n, k], features: float [n, d], statistics of the pixels: float [n, s], which only rules with
        `usual` read → float64 [n].
        """
        scores = SCORES[self.score].score(self.arrays, logits, features)
        if self.usual is None:
            return scores
        assert statistics is not None
        return scores + self.usual.beyond(statistics)

    def found(self, logits: np.ndarray, features: np.ndarray, statistics: np.ndarray | None) -> np.ndarray:
        """Which images are unknown: bool [n]."""
        return self.scores(logits, features, statistics) > self.threshold

    def to_dict(self, arrays: bool = True) -> dict[str, Any]:
        """The rule as plain JSON values, as `read` takes them if they have the arrays."""
        packed = {name: pack(each) for name, each in self.arrays.items()} if arrays else {}
        return {"score": self.score, "threshold": self.threshold, "false_rejects": self.false_rejects,
                "auroc": dict(self.auroc), "arrays": packed,
                "pixels": None if self.usual is None else self.usual.to_dict(arrays)}

    @classmethod
    def read(cls, rule: UnknownRule, features: int | None = None, statistics: int | None = None) -> Unknowns:
        """The rule of a record, for a model with so many features and statistics of its pixels (None: any).

        Raises ValueError for a score that this version does not know, or damaged arrays.
        """
        if rule.score not in SCORES:
            raise ValueError(f"the score {rule.score!r}, expected one of {', '.join(SCORES)}")
        arrays = {name: unpack(each.model_dump()) for name, each in rule.arrays.items()}
        lengths = {"2": 2} if features is None else {"2": 2, "d": features}
        for name, axes in SCORES[rule.score].shapes.items():
            shape = arrays[name].shape if name in arrays else ()
            if len(shape) != len(axes) or any(lengths.setdefault(axis, n) != n or not n for axis, n in
                                              zip(axes, shape, strict=True)):
                raise ValueError(f"an array {name} of shape {shape} does not fit the others and {features} features")
        usual = None if rule.pixels is None else Usual.read(rule.pixels, statistics)
        return cls(rule.score, arrays, rule.threshold, rule.false_rejects, rule.auroc, usual)


def principal(features: np.ndarray) -> dict[str, np.ndarray]:
    """The centre [d] of the features [n, d], and the directions [d, m] in which they vary most."""
    from scipy.linalg import eigh

    if features.shape[1] > MOST_EXACT:
        features = features[np.linspace(0, len(features) - 1, min(MOST_EXACT, len(features))).astype(np.int64)]
    centre = features.mean(axis=0, dtype=np.float64)
    x = features - centre.astype(features.dtype)
    count = max(1, min(DIRECTIONS, MOST_NUMBERS // features.shape[1], *features.shape))
    wide = x.shape[1] > x.shape[0]
    product = (x @ x.T if wide else x.T @ x).astype(np.float64)
    _, vectors = eigh(product, subset_by_index=(len(product) - count, len(product) - 1))
    directions = x.T @ vectors if wide else vectors
    return {"centre": centre, "directions": directions / np.maximum(np.linalg.norm(directions, axis=0), 1e-12)}


def project(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """Features [n, d] along the directions of `principal`, from its centre: float64 [n, m]."""
    return np.asarray((features - arrays["centre"]) @ arrays["directions"], np.float64)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The squared distances float64 [n, m]."""
    squares = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None]
    return np.asarray(np.maximum(squares - 2 * points @ others.T, 0))
