"""Simulate cross-validations: how often do the intervals of a recipe and of a difference contain the truth?

    python -m benchmarks.fold_intervals [--sets 1000] [--images 300] [--folds 5] [--json FILE]

Each data set holds images of three classes with normally distributed features. Two recipes, least squares with little
and with much regularisation, are trained on it without each fold, and predict that fold. The truth is the accuracy of
such trainings on further images, averaged over all data sets: what the recipe achieves with as many images. Four
intervals of the accuracy and of the difference are counted: that of Tenfold; the images alone, as if the trainings
were fixed; Student's over the folds; and the corrected one of Nadeau and Bengio (2003).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import t

from benchmarks import record
from tenfold.evaluation import statistics
from tenfold.evaluation.folds import OverFolds, pooled
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.weighted import Predictions

CLASSES = 3
FEATURES = 30
APART = 0.492  # standard deviation of each coordinate of the classes' means; that of an image is 1
PENALTIES = (1.0, 300.0)
FRESH = 3000  # further images for the truth
INTERVALS = ("tenfold", "images alone", "folds as a sample", "Nadeau and Bengio")


def drawn(rng: np.random.Generator, means: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(features float64 [n, FEATURES + 1] with a constant, labels int64 [n]), classes in turn."""
    labels = np.arange(count) % CLASSES
    features = means[labels] + rng.normal(size=(count, FEATURES))
    return np.hstack([features, np.ones((count, 1))]), labels


def fitted(features: np.ndarray, labels: np.ndarray, penalty: float) -> np.ndarray:
    """The weights of least squares on one-hot labels: float64 [FEATURES + 1, CLASSES]."""
    gram = features.T @ features + penalty * np.eye(features.shape[1])
    return np.linalg.solve(gram, features.T @ np.eye(CLASSES)[labels])


def predicted(features: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> Predictions:
    """Predictions whose probabilities are the softmax of four times the outputs."""
    scores = np.exp(4 * (features @ weights))
    return Predictions(labels, scores / scores.sum(axis=1, keepdims=True))


def validated(seed: int, images: int, folds: int, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """(true accuracies float64 [2], intervals float64 [3, 4, 2]: both recipes and their difference, by INTERVALS)."""
    means = APART * np.random.default_rng(3).normal(size=(CLASSES, FEATURES))
    rng = np.random.default_rng([4, seed])
    features, labels = drawn(rng, means, images)
    fresh, truth = drawn(rng, means, FRESH)
    fold = np.empty(images, np.int64)
    for label in range(CLASSES):
        members = rng.permutation(np.flatnonzero(labels == label))
        fold[members] = np.arange(len(members)) % folds
    accuracy, true, measured = metric("accuracy"), [], []
    for penalty in PENALTIES:
        parts, right = [], []
        for number in range(folds):
            weights = fitted(features[fold != number], labels[fold != number], penalty)
            parts.append(predicted(features[fold == number], weights, labels[fold == number]))
            right.append(predicted(fresh, weights, truth).correct.mean())
        true.append(float(np.mean(right)))
        together, = statistics.bootstrap(pooled(parts), [accuracy.function], resamples)
        each = np.array([statistics.bootstrap(part, [accuracy.function], resamples)[0] for part in parts])
        whole = pooled(parts)
        measured.append(OverFolds.over(
            together, each, np.array([part.correct.mean() for part in parts]),
            accuracy.as_fraction(float(whole.correct.mean()), [whole])))
    first, second = measured
    difference = OverFolds.over(first.mean - second.mean, first.by_fold - second.by_fold,
                                first.observed - second.observed)
    return np.array(true), np.array([intervals(each) for each in (first, second, difference)])


def intervals(measured: OverFolds) -> np.ndarray:
    """The four intervals of INTERVALS: float64 [4, 2]."""
    k, value, deviation = measured.runs, float(measured.observed.mean()), float(measured.observed.std(ddof=1))
    reach = float(t.ppf(0.975, k - 1)) * deviation
    plain, corrected = reach * np.sqrt(1 / k), reach * np.sqrt(1 / k + 1 / (k - 1))
    found = [measured.uncertain.interval(), statistics.percentile_interval(measured.mean)]
    assert None not in found
    return np.array([*found, (value - plain, value + plain), (value - corrected, value + corrected)])


def simulate(sets: int, images: int, folds: int, resamples: int) -> dict[str, dict[str, dict[str, float]]]:
    """Recipe or difference → interval → "contains": the fraction of data sets, and "width" in points."""
    true, found = zip(*(validated(seed, images, folds, resamples) for seed in range(sets)), strict=True)
    first, second = np.mean(true, axis=0)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for place, (name, truth) in enumerate((("first recipe", first), ("second recipe", second),
                                           ("difference", first - second))):
        ends = np.array(found)[:, place]
        inside = (ends[..., 0] <= truth) & (truth <= ends[..., 1])
        result[name] = {interval: {"contains": float(inside[:, i].mean()),
                                   "width": float(100 * (ends[:, i, 1] - ends[:, i, 0]).mean())}
                        for i, interval in enumerate(INTERVALS)}
        result[name]["truth"] = {"value": float(truth)}
    return result


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fold_intervals", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("sets", 1000), ("images", 300), ("folds", 5), ("resamples", 400)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = simulate(arguments.sets, arguments.images, arguments.folds, arguments.resamples)
    print(f"{arguments.sets:,} data sets of {arguments.images:,} images, {arguments.folds} folds; truth: "
          + ", ".join(f"{name} {100 * each['truth']['value']:.1f} %" for name, each in found.items()))
    for name, each in found.items():
        for interval in INTERVALS:
            print(f"{name:14} {interval:18} contains the truth in {each[interval]['contains']:.1%}, "
                  f"width {each[interval]['width']:.1f} points")
    record.save(arguments.json, arguments, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
