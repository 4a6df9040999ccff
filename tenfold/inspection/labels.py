"""Suspected label errors: confident learning (Northcutt et al. 2021) on probabilities of classifiers for unseen images.

Cleanlab estimates how many labels are wrong. The probabilities come from a logistic regression on the features of a
pretrained network, fitted in folds: each image is judged by a classifier that was fitted to the others.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from tenfold.extras import needed_for
from tenfold.inspection.nearest import reduced
from tenfold.later import importing_sklearn
from tenfold.progress import Watcher, stop_if_asked

FOLDS = 5
DIMENSIONS = 256  # principal components of the features
STRENGTH, OF_FEW = 0.001, 10.0  # C of the logistic regression: the first, or the second over the images
ITERATIONS = 200
ESTIMATES = ("off_diagonal", "off_diagonal_calibrated")  # of the number of wrong labels, see cleanlab's documentation
TINY = 1e-12


def suspected(labels: np.ndarray, probabilities: np.ndarray) -> Iterator[tuple[int, float]]:
    """(row, score) of the images whose label may be wrong, the most certain first; score: 0 to 1.

    labels: int64 [n]; probabilities: float [n, k] of classifiers that did not see the image. The least probable labels
    are suspected, half-way between cleanlab's lower and upper estimate of the number of wrong ones, if another class is
    more probable. Raises MissingExtraError.
    """
    with needed_for("suspected label errors", "check"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # its progress bars in notebooks are not used
        from cleanlab.count import num_label_issues

    present = np.unique(labels)  # cleanlab expects an image of each class
    if len(present) < 2:
        return
    p = probabilities[:, present].astype(np.float64)
    p /= np.maximum(p.sum(axis=1, keepdims=True), TINY)
    given = np.searchsorted(present, labels)
    count = np.mean([num_label_issues(given, p, estimation_method=method) for method in ESTIMATES])
    own = p[np.arange(len(p)), given]
    for row in np.argsort(own, kind="stable")[: round(float(count))]:
        if p[row].argmax() != given[row]:
            yield int(row), float(1 - own[row])


def out_of_fold(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: int,
                watcher: Watcher) -> np.ndarray:
    """Probabilities float32 [n, k] of logistic regressions that were fitted to other images.

    features: float32 [n, d]; labels, groups: int64 [n]; images of one group are judged together.
    """
    with importing_sklearn():
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
        strength = max(STRENGTH, OF_FEW / len(train))
        model = LogisticRegression(C=strength, max_iter=ITERATIONS, tol=1e-3).fit(x[train], labels[train])
        found[held] = 0
        found[held[:, np.newaxis], model.classes_] = model.predict_proba(x[held])
    return found
