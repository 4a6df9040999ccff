"""Trials are counted per hour, round by round, and Tenfold's side searches as stated."""

from __future__ import annotations

import pytest

from benchmarks.programs.tenfold_search import search
from benchmarks.trials_per_hour import PEER, compare, rates
from tenfold.recipe import Recipe


def test_trials_an_hour_are_compared_round_by_round() -> None:
    ours = [{"seconds": 60.0, "trials": 4, "best": 0.8}, {"seconds": 120.0, "trials": 4, "best": 0.7}]
    theirs = [{"seconds": 240.0, "trials": 4, "best": 0.75, "versions": {"keras": "3.15"}},
              {"seconds": 240.0, "trials": 4, "best": 0.75}]
    found = compare(ours, theirs)
    assert rates(ours) == [240, 120]
    assert found["ratio"] == {"median": 3, "low": 2, "high": 4, "n": 2}
    assert found[PEER]["trials_per_hour"]["median"] == 60


def test_a_search_ends_with_its_last_trial() -> None:
    recipe = Recipe.load("mlp", {"data.source": "digits", "train.epochs": 1})
    found = search(recipe, 3, 1e-3, 1e-2, 0, workers=1)
    assert found["trials"] == 3
    assert found["seconds"] > 0
    assert found["best"] == pytest.approx(0.8, abs=0.2)
