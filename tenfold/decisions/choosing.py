"""Chooses the score for unknown images: the one that best finds classes that were left out of it.

Classes are left out by turns: the arrays of a score are fitted without their training images. Then validation images
of these classes are the unknown ones. Images of truly unknown classes are never used.

A network that was trained on a class has features in which this class stands apart, so distances would find it far too
easily: its scores are those of logits, without the logits of the left-out classes. The features of a frozen backbone
know no class. But its logits layer has learnt to give images of the left-out classes low logits, so it is fitted again
without them; then all scores compete.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tenfold.decisions.unknowns import LEAST, LOGIT_SCORES, SCORES, Arrays, Evidence, Score, principal, project
from tenfold.later import importing_sklearn

TURNS = 5
ITERATIONS, TOLERANCE = 300, 1e-3  # of a logistic regression
USUAL = "maximum logit"  # of a model with too few classes to leave some out


@dataclass(frozen=True)
class Chosen:
    """A score with its arrays, fitted on all training images; auroc: score → mean over the turns, empty without any."""

    name: str
    score: Score
    arrays: Arrays
    auroc: Mapping[str, float]


def choose(train: Evidence, held: Evidence, frozen: bool) -> Chosen:
    """The score with the highest mean area under the ROC curve over the turns; `USUAL` with fewer than 3 classes.

    frozen: whether the features come from a frozen backbone.
    """
    found = left_out(train, held, frozen)
    name = max(found, key=lambda name: found[name]) if found else USUAL
    score = SCORES[name]
    return Chosen(name, score, score.fit(train, _space(train, [score])), found)


def left_out(train: Evidence, held: Evidence, frozen: bool) -> dict[str, float]:
    """Score → mean area under the ROC curve of left-out classes against the others; empty with too few classes."""
    scores = {name: score for name, score in (SCORES if frozen else LOGIT_SCORES).items() if _varies(score, train)}
    present = np.intersect1d(train.labels, held.labels)
    if len(present) < 3:
        return {}
    turns = [present[i :: min(TURNS, len(present))] for i in range(min(TURNS, len(present)))]
    areas: dict[str, list[float]] = {name: [] for name in scores}
    for away in turns:
        rest = np.setdiff1d(np.arange(train.logits.shape[1]), away)
        known, familiar = _without(train, away, rest), ~np.isin(held.labels, away)
        space = _space(known, list(scores.values()))
        images = Evidence(held.logits[:, rest], held.features, held.labels)
        if frozen:
            known, images = _fitted_again(known, images, space)
        for name, score in scores.items():
            values = score.score(score.fit(known, space), images.logits, images.features)
            areas[name].append(area(values[familiar], values[~familiar]))
    return {name: float(np.mean(values)) for name, values in areas.items()}


def _fitted_again(known: Evidence, images: Evidence, space: Arrays) -> tuple[Evidence, Evidence]:
    """Both with the logits of a logistic regression that is fitted to `known`, on its principal directions."""
    with importing_sklearn():
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

    x, x_images = (project(space, each.features) for each in (known, images))
    scale = max(float(x.std(axis=0).max()), LEAST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly fitted is enough to choose a score
        fitted = LogisticRegression(max_iter=ITERATIONS, tol=TOLERANCE).fit(x / scale, known.labels)
    margins = [fitted.decision_function(each / scale) for each in (x, x_images)]
    logits = [each if each.ndim == 2 else np.stack([-each / 2, each / 2], axis=1) for each in margins]
    return replace(known, logits=logits[0]), replace(images, logits=logits[1])


def _space(train: Evidence, scores: Sequence[Score]) -> Arrays:
    """The principal directions of the features, which take long; empty if none of the scores reads features."""
    return principal(train.features) if any(score.shapes for score in scores) else {}


def _varies(score: Score, train: Evidence) -> bool:
    """Whether a score of logits tells images apart: the energy of logarithms of probabilities is always 0."""
    return bool(score.shapes) or bool(score.score({}, train.logits, train.features).std() > LEAST)


def area(known: np.ndarray, unknown: np.ndarray) -> float:
    """The probability that an unknown image scores higher than a known one; ties count half."""
    ascending = np.sort(known)
    lower, not_higher = (np.searchsorted(ascending, unknown, side) for side in ("left", "right"))
    return float((lower + not_higher).sum() / 2 / (len(known) * len(unknown)))


def _without(evidence: Evidence, away: np.ndarray, rest: np.ndarray) -> Evidence:
    """The images of the other classes, with the logits of the classes in `rest`."""
    kept = evidence.take(~np.isin(evidence.labels, away))
    return Evidence(kept.logits[:, rest], kept.features, kept.labels)
