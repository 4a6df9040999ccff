"""Quality against cost: who is beaten."""

from __future__ import annotations

import numpy as np

from tenfold.comparison import Row
from tenfold.comparison.pareto import front, points


def row(name, seconds, images_per_second, value):
    entry = {"value": value, "low": None, "high": None, "sd": None}
    return Row(name, name, "digits", (name,), (0,), {"accuracy": entry, "loss": entry}, 1, 1, seconds,
               images_per_second, "", {})


ROWS = [row("slow and good", 100.0, 50.0, .9), row("beaten", 50.0, 40.0, .7), row("quick", 10.0, None, .8)]


def test_the_front_has_the_models_that_no_other_dominates():
    quality, cost = np.array([.9, .8, .7, .8, np.nan]), np.array([9.0, 3.0, 4.0, 3.0, 1.0])
    assert front(quality, cost).tolist() == [True, True, False, True, False]


def test_points_list_their_fronts_in_the_direction_of_the_metric():
    found = points(ROWS, "accuracy")
    assert [point["front"] for point in found] == [["seconds", "images_per_second"], [], ["seconds"]]
    assert found[0] == {"model": "slow and good", "by": "accuracy", "value": .9, "low": None, "high": None,
                        "seconds": 100.0, "images_per_second": 50.0, "parameters": 1,
                        "front": ["seconds", "images_per_second"]}
    assert ["seconds" in point["front"] for point in points(ROWS, "loss")] == [False, True, True]
    assert points([row("unknown", 1.0, None, None)], "loss")[0]["front"] == []
    assert points([], "loss") == []
