"""Decision rules over folds on data of known truth: how often do the sets hold the true class, and what is promised?"""

from __future__ import annotations

import numpy as np

from benchmarks.fold_intervals import CLASSES, FEATURES, drawn, fitted, predicted
from tenfold.decisions.conformal import Sets, coverage
from tenfold.decisions.crossconformal import CrossSets
from tenfold.evaluation.deciding import Wanted, fit_over_folds

FRESH, FOLDS = 5000, 5  # further images
APART = 0.25  # standard deviation of each coordinate of the classes' means; that of an image is 1
PENALTIES = {"steady": 100.0, "erratic": 1e-6}  # the second learns its images by heart: each fold's model is another
ASKED = 0.8  # of the accepted answers


def simulate(images: int, learner: str, sets: int) -> dict[str, float]:
    """Means over data sets of so many images: "accuracy" of the ensemble; for LAC at 90 %, the coverage of the sets
    ("raw", "shown"), their "size", what is "promised", and the coverage of "one threshold" on the mean probabilities,
    which promises nothing; "holds", the fraction of data sets whose accepted answers are accurate enough.
    """
    means = APART * np.random.default_rng(3).normal(size=(CLASSES, FEATURES))
    rows = []
    for i in range(sets):
        rng = np.random.default_rng([8, i])
        (x, y), (fresh, truth) = drawn(rng, means, images), drawn(rng, means, FRESH)
        fold = rng.permutation(images) % FOLDS
        weights = [fitted(x[fold != k], y[fold != k], PENALTIES[learner]) for k in range(FOLDS)]
        held = [(y[fold == k], predicted(x[fold == k], weights[k], y[fold == k]).probabilities) for k in range(FOLDS)]
        members = np.stack([predicted(fresh, each, truth).probabilities for each in weights], axis=1)
        rows.append(_row(held, members, truth))
    return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}


def _row(held: list[tuple[np.ndarray, np.ndarray]], members: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    rules, mean = fit_over_folds(held, Wanted(accuracy=ASKED)), members.mean(axis=1)
    sets = rules.sets_at(0.9)
    assert isinstance(sets, CrossSets)
    labels, p = (np.concatenate(each) for each in zip(*held, strict=True))
    shown, size = coverage(sets.shown(members), truth)
    limit, right = rules.accepting.threshold, mean.argmax(axis=1) == truth
    accepted = np.zeros(len(truth), bool) if limit is None else mean.max(axis=1) > limit
    return {"accuracy": right.mean(), "raw": coverage(sets.raw(members), truth)[0] / len(truth),
            "shown": shown / len(truth), "size": size, "promised": sets.promised,
            "one threshold": coverage(Sets.fit(labels, p, 0.9, "lac").raw(mean), truth)[0] / len(truth),
            "holds": float(right[accepted].mean() >= ASKED) if accepted.any() else 1.0, "answered": accepted.mean()}
