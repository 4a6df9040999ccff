"""The plan for larger clusters follows from the measured costs: trials scale, one training less and less."""

from __future__ import annotations

from benchmarks.scale import plan

FOUND = {
    "trials": {"trainings_per_hour": {"one process, two threads": 100.0, "two nodes, one core each": 120.0},
               "seconds_per_call": 0.2},
    "ranks": {"images_per_second": {"one process, two threads": 1500.0, "two processes": 1200.0},
              "parameters": 1_000_000, "images_per_step": 100},
    "predict": {"images_per_second": 300.0},
}


def test_trials_and_predictions_scale_with_the_nodes() -> None:
    rows = plan(FOUND)
    assert [row["nodes"] for row in rows] == ["8", "64", "512"]
    assert [row["trainings an hour"] for row in rows] == ["480", "3,840", "18,000"]  # as many as one driver starts
    assert [row["images predicted a second"] for row in rows] == ["2,400", "19,200", "153,600"]


def test_exchanging_gradients_costs_more_with_more_nodes() -> None:
    efficiency = [int(row["efficiency of one training"].split()[0]) for row in plan(FOUND)]
    assert efficiency == sorted(efficiency, reverse=True)
    assert efficiency[0] > efficiency[-1]


def test_what_was_not_measured_is_not_foretold() -> None:
    assert [list(row) for row in plan({"predict": FOUND["predict"]})] == [["nodes", "images predicted a second"]] * 3
