"""The learning curve and what twice the images would bring."""

import numpy as np
import pytest

from tenfold.evaluation.growth import learning_curve
from tenfold.evaluation.statistics import wilson

SIZES = [100, 250, 500, 1000]
DRAWS = [4, 4, 3, 1]


def simulated(slope: float, images: int, seed: int) -> list[np.ndarray]:
    """Correct classifications whose error rate falls as a power law, 0.4 at 100 training images."""
    rng = np.random.default_rng(seed)
    return [rng.random((draws, images)) > 0.4 * (size / SIZES[0]) ** -slope
            for size, draws in zip(SIZES, DRAWS, strict=True)]


@pytest.mark.parametrize("slope", [0.0, 0.2, 0.5])
def test_the_gain_of_a_power_law_is_found(slope):
    labels = np.arange(4000) % 4
    curve = learning_curve(SIZES, simulated(slope, 4000, seed=1), labels)
    error = 0.4 * 10**-slope
    assert curve["doubled"]["images"] == 2000
    assert curve["doubled"]["gain"] == pytest.approx(error - error * 2**-slope, abs=0.012)
    assert curve["doubled"]["low"] <= error - error * 2**-slope + 1e-9
    assert curve["doubled"]["high"] >= error - error * 2**-slope - 1e-9


def test_the_last_point_has_the_interval_of_the_accuracy_of_the_run():
    correct = simulated(0.3, 48, seed=3)
    last = learning_curve(SIZES, correct, np.arange(48) % 3)["points"][-1]
    assert (last["low"], last["high"]) == wilson(int(correct[-1].sum()), 48)


def test_each_point_has_the_mean_accuracy_with_its_interval():
    correct = simulated(0.3, 300, seed=2)
    points = learning_curve(SIZES, correct, np.arange(300) % 3)["points"]
    assert [point["images"] for point in points] == SIZES
    assert [point["draws"] for point in points] == DRAWS
    for point, each in zip(points, correct, strict=True):
        assert point["accuracy"] == pytest.approx(each.mean())
        assert point["low"] < point["accuracy"] < point["high"]


def test_the_interval_covers_the_true_gain_in_most_simulations():
    labels, true = np.arange(200) % 2, 0.4 * 10**-0.3 * (1 - 2**-0.3)
    found = [learning_curve(SIZES, simulated(0.3, 200, seed), labels)["doubled"] for seed in range(60)]
    assert np.mean([each["low"] <= true <= each["high"] for each in found]) >= 0.85


def test_a_single_size_tells_nothing_of_more_images():
    curve = learning_curve([50], [np.ones((1, 20), bool)], np.arange(20) % 2)
    assert curve["doubled"] is None
    assert len(curve["points"]) == 1


@pytest.mark.parametrize("count", [8, 100])
def test_without_errors_nothing_is_expected_but_something_may_be_gained(count):
    curve = learning_curve(SIZES, [np.ones((draws, count), bool) for draws in DRAWS], np.arange(count) % 2)
    least = wilson(count, count)[0]
    assert [point["high"] for point in curve["points"]] == [1] * len(SIZES)
    assert [point["low"] for point in curve["points"]] == pytest.approx([least] * len(SIZES), abs=1e-5)
    doubled = curve["doubled"]
    assert (doubled["gain"], doubled["low"]) == (0, 0)
    assert doubled["high"] == pytest.approx((1 - least) / 2)  # the law halves the errors at most


def test_no_gain_exceeds_the_errors_that_are_left():
    labels = np.arange(40) % 2
    some, none = np.ones((2, 40), bool), np.ones((1, 40), bool)
    some[:, :6] = False
    doubled = learning_curve([20, 40], [some, none], labels)["doubled"]
    assert doubled["gain"] == 0 < doubled["high"]
