"""Suspected label errors: confident learning (Northcutt et al. 2021) on probabilities of classifiers for unseen images.

Cleanlab computes it. The probabilities come from a logistic regression on the features of a pretrained network, fitted
in folds: each image is judged by a classifier that was fitted to the others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.extras import needed_for
from tenfold.inspection.nearest import reduced
from tenfold.progress import Watcher, stop_if_asked

FOLDS = 5
DIMENSIONS = 256  # principal components of the features
STRENGTH = 0.01  # C of the logistic regression
ITERATIONS = 200
LEAST = 0.5  # by which the likely class has to be more probable than the label


def suspected(labels: np.ndarray, probabilities: np.ndarray) -> Iterator[tuple[int, float]]:
    """(row, score) of the images whose label is probably wrong, the most certain first; score: 0 to 1.

    labels: int64 [n]; probabilities: float [n, k] of classifiers that did not see the image. Raises MissingExtraError.
    """
    with needed_for("suspected label errors", "check"):
        from cleanlab.filter import find_label_issues

    present = np.unique(labels)  # cleanlab expects an image of each class
    if len(present) < 2:
        return
    p = probabilities[:, present].astype(np.float64)
    p /= np.maximum(p.sum(axis=1, keepdims=True), 1e-12)
    given = np.searchsorted(present, labels)
    wrong = find_label_issues(given, p, filter_by="confident_learning", n_jobs=1)
    margin = p.max(axis=1) - p[np.arange(len(p)), given]
    for row in np.argsort(-margin, kind="stable"):
        if wrong[row] and margin[row] >= LEAST:
            yield int(row), float(margin[row])


def out_of_fold(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: int,
                watcher: Watcher) -> np.ndarray:
    """Probabilities float32 [n, k] of logistic regressions that were fitted to other images.

    features: float32 [n, d]; labels, groups: int64 [n]; images of one group are judged together.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    x = reduced(features, DIMENSIONS)
    found = np.full((len(x), classes), 1 / classes, np.float32)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    if not x.shape[1]:  # all images look the same
        return found
    for train, held in folds.split(x, labels, groups):
        stop_if_asked(watcher)
        if len(np.unique(labels[train])) < 2:
            continue  # nothing to compare: the groups of a class are as large as that
        model = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS, tol=1e-3).fit(x[train], labels[train])
        found[held] = 0
        found[held[:, np.newaxis], model.classes_] = model.predict_proba(x[held])
    return found
