"""Measure the learning curve of a logistic regression on frozen features: would more images help?"""

from __future__ import annotations

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.data.splits import stratified
from tenfold.errors import UsageError
from tenfold.evaluation.answers import Kept
from tenfold.evaluation.growth import learning_curve
from tenfold.later import importing_sklearn
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.runtimes import open_predictor

FRACTIONS = {0.1: 4, 0.25: 4, 0.5: 3, 1.0: 1}  # of the training images; how many subsets of each size
FEWEST = 2  # training images for each class, on average


def check(recipe: Recipe) -> None:
    """Raise UsageError if the recipe is no logistic regression on frozen features."""
    if recipe.train.fit != "logistic-regression":
        raise UsageError(f"a learning curve needs train.fit=logistic-regression; received {recipe.train.fit} in the "
                         f"recipe {recipe.name}")


def measure(run: Run, recipe: Recipe, dataset: Dataset, watcher: Watcher, kept: Kept) -> None:
    """Write `learning_curve.json`: classifiers on 10, 25, 50 and 100 % of the training images, scored on test.

    Each is fitted as that of the run is, with its regularisation chosen on the validation split. Nothing is chosen on
    the test split. Without a test split, and with very few images, nothing is measured. kept: known answers of the
    run's model to whole splits.
    """
    with importing_sklearn():
        from sklearn.preprocessing import StandardScaler

    from tenfold.training import frozen_features, probe

    if dataset.test is None or not len(dataset.test):
        return
    found = frozen_features(recipe, dataset, watcher)
    assert found.validation is not None  # `training.check` requires it
    known, labels = kept.get("test"), dataset.test.labels
    test = known.features if known else open_predictor(run).features(dataset.test.images)
    count, classes = len(dataset.train), len(dataset.classes)
    sizes, correct = [], []
    total = sum(FRACTIONS.values())
    done = 0
    for fraction, draws in FRACTIONS.items():
        size = round(fraction * count)
        scores = []
        for draw in range(draws if size >= FEWEST * classes else 0):
            watcher.advance("learning_curve", done + draw, total, "classifiers")
            rows = stratified(dataset.train.labels, size, np.random.default_rng([recipe.data.seed, draw, size]))
            scaler = StandardScaler().fit(found.train.images[rows])
            x, held = scaler.transform(found.train.images[rows]), scaler.transform(found.validation.images)
            _, _, fitted = probe.choose(
                x, found.train.labels[rows], held, found.validation.labels, classes, None, SILENT)
            scores.append(fitted.predict(scaler.transform(test)) == labels)
        done += draws
        if scores:
            sizes.append(size)
            correct.append(np.stack(scores))
    watcher.advance("learning_curve", total, total, "classifiers")
    if sizes:
        run.write_json("learning_curve.json", learning_curve(sizes, correct, labels))
