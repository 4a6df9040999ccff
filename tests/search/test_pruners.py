"""Pruning compares a trial with those that reached the same epoch."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
import pytest

from tenfold.search.pruners import LEAST, pruner, rungs


@pytest.mark.parametrize(("epochs", "expected"), [(1, []), (2, [1]), (7, [1, 3]), (10, [1, 3, 9]), (27, [3, 9]),
                                                  (90, [10, 30])])
def test_rungs_triple_from_a_ninth_of_the_epochs(epochs: int, expected: list[int]) -> None:
    assert rungs(epochs) == expected


def decisions(name: str, curves: Sequence[Sequence[float]], direction: str = "maximize") -> list[int | None]:
    """The epoch at which each of several trials, one after the other, is ended."""
    study = optuna.create_study(direction=direction, pruner=pruner(name, len(curves[0])))
    found: list[int | None] = []
    for curve in curves:
        trial, end = study.ask(), None
        for epoch, value in enumerate(curve, 1):
            trial.report(value, epoch)
            assert trial.should_prune() == trial.should_prune()  # it can be asked again
            if trial.should_prune():
                end = epoch
                break
        study.tell(trial, None if end else curve[-1],
                   optuna.trial.TrialState.PRUNED if end else optuna.trial.TrialState.COMPLETE)
        found.append(end)
    return found


RISING = [[level + epoch / 100 for epoch in range(9)] for level in (0.1, 0.2, 0.3, 0.4, 0.05, 0.5, 0.35)]


def test_halving_ends_all_but_the_best_third_at_a_rung() -> None:
    assert decisions("halving", RISING) == [None] * LEAST + [1, None, 1]


def test_a_lower_loss_is_better() -> None:
    falling = [[-value for value in curve] for curve in RISING]
    assert decisions("halving", falling, "minimize") == decisions("halving", RISING)


def test_the_percentile_rule_keeps_the_better_half() -> None:
    assert decisions("percentile", RISING) == [None] * LEAST + [1, None, None]


def test_a_trial_counts_with_its_best_epoch_so_far() -> None:
    curves = [*RISING[:4], [0.9, 0.0, 0.0, *[0.0] * 6]]
    assert decisions("halving", curves) == [None] * 5


def test_nothing_is_pruned_without_a_pruner() -> None:
    assert decisions("none", RISING) == [None] * 7
