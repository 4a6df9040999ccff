"""Abstention: the curve follows its definition; the guarantee holds; too few images support nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import beta, binom

from tenfold.decisions.abstention import CERTAINTY, allowed_errors, curve, fewest, fit, highest, refusal


def drawn(rng: np.random.Generator, count: int, honest: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and which answers are right; honest below 1: the confidences promise too much."""
    confidence = 1 - 0.8 * rng.beta(0.5, 1.6, count)
    return confidence, rng.random(count) < honest * confidence


def truth(honest: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(confidences, falling; accuracy of the answers above each) of a large population."""
    falls = np.sort(1 - 0.8 * np.random.default_rng(9).beta(0.5, 1.6, 200_000))[::-1]
    return falls, honest * np.cumsum(falls) / np.arange(1, len(falls) + 1)


def test_the_curve_counts_the_surest_images_first():
    found = curve(np.array([0.9, 0.5, 0.7, 0.7]), np.array([True, False, True, False]))
    assert found.fraction.tolist() == [0.25, 0.75, 1.0]
    assert found.accuracy.tolist() == pytest.approx([1, 2 / 3, 1 / 2])


@pytest.mark.parametrize(("honest", "accuracy"), [(1.0, 0.95), (0.95, 0.9), (1.0, 0.81)])
def test_the_accuracy_is_guaranteed_as_often_as_stated(honest, accuracy):
    falls, accuracies = truth(honest)
    held, answered = [], []
    for seed in range(300):
        found = fit(*drawn(np.random.default_rng(seed), 1000, honest), accuracy)
        above = 0 if found.threshold is None else np.searchsorted(-falls, -found.threshold)
        held.append(above == 0 or accuracies[above - 1] >= accuracy)
        answered.append(above / len(falls))
    assert np.mean(held) >= CERTAINTY - 0.03  # 300 data sets: its deviation is 0.013
    enough = np.flatnonzero(accuracies >= accuracy)
    assert np.mean(answered) > 0.5 * (enough[-1] + 1) / len(falls)


def test_the_rule_counts_what_it_accepts(rng):
    confidence, correct = drawn(rng, 2000)
    found = fit(confidence, correct, 0.95)
    accepted = confidence > found.threshold
    assert (found.images, found.answered, found.wrong) == (2000, accepted.sum(), (~correct[accepted]).sum())
    right = found.answered - found.wrong
    assert beta.ppf(1 - CERTAINTY, right, found.wrong + 1) >= 0.95  # the bound of Clopper and Pearson


def test_too_few_images_support_nothing_and_say_how_many_would():
    assert [fewest(accuracy) for accuracy in (0.5, 0.9, 0.99, 0.999)] == [5, 29, 299, 2995]
    sure = np.linspace(0.9, 1, 298)
    found = fit(sure, np.ones(298, bool), 0.99)
    assert (found.threshold, found.needed) == (None, 299)
    assert fit(np.linspace(0.9, 1, 299), np.ones(299, bool), 0.99).threshold == 0.0
    assert fit(np.zeros(0), np.zeros(0, bool), 0.9).threshold is None
    assert fit(np.full(500, 0.7), np.arange(500) % 2 == 0, 0.9).threshold is None  # one tie, half of it wrong


@pytest.mark.parametrize(("count", "honest"), [(40, 1.0), (300, 1.0), (200, 0.9)])
def test_a_refused_accuracy_comes_with_the_highest_that_is_supported(rng, count, honest):
    confidence, correct = drawn(rng, count, honest)
    refused = fit(confidence, correct, 0.999)
    assert refused.threshold is None
    assert fit(confidence, correct, refused.supported).threshold is not None
    for asked in range(round(1000 * refused.supported) + 1, 1000):
        assert fit(confidence, correct, asked / 1000).threshold is None
    assert f"; they support {100 * refused.supported:g} %: `tenfold calibrate RUN --accuracy " \
        f"{refused.supported:g}`" in refusal(dataclasses.asdict(refused))


def test_the_highest_accuracy_without_errors_follows_from_the_number_of_images():
    found = [highest(np.linspace(0.9, 1, images), np.ones(images, bool)) for images in (0, 1, 5, 29, 299, 2995, 9000)]
    assert found == [0, 0.05, 0.549, 0.901, 0.99, 0.999, 0.999]
    assert highest(np.linspace(0.5, 1, 50), np.zeros(50, bool)) == 0


def test_a_threshold_is_tested_where_one_more_error_is_allowed():
    right = np.ones(600, bool)
    right[[10, 473]] = False  # 473 images with one error prove 99 %; 498, the next ones tested, hold two
    found = fit(np.linspace(1, 0.9999, 600), right, 0.99)
    assert (found.answered, found.wrong) == (473, 1)
    assert allowed_errors(473, 0.99)[[298, 299, 472, 473]].tolist() == [-1, 0, 0, 1]


@pytest.mark.parametrize("accuracy", [0.999, 0.95, 0.7])
def test_the_allowed_errors_are_a_quantile_of_the_binomial_distribution(accuracy):
    counts, level = np.arange(3000), 1 - CERTAINTY
    most = binom.ppf(level, counts, 1 - accuracy)
    most -= binom.cdf(most, counts, 1 - accuracy) > level
    assert allowed_errors(2999, accuracy).tolist() == most.tolist()


def test_ties_are_accepted_together_or_not_at_all():
    confidence = np.repeat([0.99, 0.6], 400)
    found = fit(confidence, np.arange(800) < 400, 0.95)
    assert (found.threshold, found.answered, found.wrong) == (0.6, 400, 0)
