"""The simulation of cross-validations: a known truth, and intervals that are wider where trainings differ."""

from __future__ import annotations

from benchmarks.fold_intervals import INTERVALS, simulate


def test_intervals_are_counted_against_the_truth() -> None:
    found = simulate(sets=12, images=90, folds=3, resamples=200)
    assert list(found) == ["first recipe", "second recipe", "difference"]
    difference = found["first recipe"]["truth"]["value"] - found["second recipe"]["truth"]["value"]
    assert found["difference"]["truth"]["value"] == difference
    for each in found.values():
        assert each["tenfold"]["width"] >= each["images alone"]["width"]
        assert each["Nadeau and Bengio"]["width"] > each["folds as a sample"]["width"]
        assert all(0 <= each[name]["contains"] <= 1 for name in INTERVALS)
        assert each["tenfold"]["contains"] >= 0.6
