"""The uncertainty over folds: images alone where trainings do not differ, wider where they do, paired differences."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.evaluation import statistics
from tenfold.evaluation.folds import OverFolds, pooled
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.weighted import Predictions


def fold(rng: np.random.Generator, skill: float, images: int = 200) -> Predictions:
    """Predictions in two classes, correct with the probability `skill`."""
    labels = np.arange(images) % 2
    guess = np.where(rng.random(images) < skill, labels, 1 - labels)
    return Predictions(labels, np.eye(2)[guess])


def over(folds: list[Predictions]) -> OverFolds:
    accuracy = metric("accuracy").function
    each = np.array([statistics.bootstrap(part, [accuracy], 400)[0] for part in folds])
    together, = statistics.bootstrap(pooled(folds), [accuracy], 400)
    return OverFolds.over(together, each, np.array([part.correct.mean() for part in folds]))


def test_pooled_predictions_hold_each_image_once(rng: np.random.Generator) -> None:
    folds = [fold(rng, 0.8, 10), fold(rng, 0.8, 12)]
    assert len(pooled(folds).labels) == 22
    assert pooled(folds).correct.tolist() == [*folds[0].correct, *folds[1].correct]


def test_trainings_that_differ_widen_the_interval(rng: np.random.Generator) -> None:
    same = over([fold(rng, 0.8) for _ in range(5)]).uncertain
    different = over([fold(rng, skill) for skill in (0.6, 0.7, 0.8, 0.9, 1.0)]).uncertain
    assert same.interval() is not None
    assert different.variance > 20 * max(same.variance, 1e-5)
    assert different.degrees == 4
    low, high = different.interval() or (0, 0)
    assert high - low > 0.2


def test_the_variance_of_training_is_that_of_nadeau_and_bengio(rng: np.random.Generator) -> None:
    observed = np.array([0.7, 0.8, 0.9])
    certain = OverFolds.over(np.full(100, 0.8), np.repeat(observed[:, None], 100, axis=1), observed)
    assert certain.uncertain.variance == pytest.approx(0.01 * (1 / 3 + 1 / 2))


def test_differences_are_paired_by_fold(rng: np.random.Generator) -> None:
    first = [fold(rng, skill) for skill in (0.6, 0.7, 0.8, 0.9, 1.0)]  # hard and easy folds
    difference = over(first).minus(over(first))
    assert difference.variance == 0
    assert difference.verdict() == ((0.0, 0.0), 1.0)


def test_a_fold_without_a_value_is_left_out_of_the_variance() -> None:
    observed = np.array([0.7, np.nan, 0.9])
    by_fold = np.repeat(observed[:, None], 100, axis=1)
    assert OverFolds.over(np.full(100, 0.8), by_fold, observed).run_variance == pytest.approx(0.02)
