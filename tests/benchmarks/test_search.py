"""The benchmarks of the search: the winner's validation score is too good, and pruning can be replayed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.pruning import replay
from benchmarks.search_intervals import correct, predictions, search, truth


def test_the_accuracy_of_many_trainings_is_the_truth(rng: np.random.Generator) -> None:
    right = correct(rng, np.full(50, 1.4), 4000)
    assert right.mean() == pytest.approx(truth(1.4), abs=0.02)
    assert predictions(right[0]).correct.tolist() == right[0].tolist()


def test_the_best_of_many_looks_better_than_it_is() -> None:
    found = [search(seed, trials=30, images=400, resamples=200) for seed in range(12)]
    assert np.mean([each["optimism"] for each in found]) > 0.01
    assert abs(np.mean([each["test_error"] for each in found])) < 0.02


def test_a_replay_keeps_the_best_and_saves_epochs() -> None:
    curves = [[level + epoch / 100 for epoch in range(9)] for level in np.linspace(0.1, 0.9, 20)]
    order = [(7 * i) % 20 for i in range(20)]
    kept, epochs = replay([curves[i] for i in order], "halving", higher=True)
    assert order.index(19) in kept
    assert epochs < 0.7 * 180
    assert replay(curves, "none", higher=True) == (list(range(20)), 180)
