"""Shares of classes without labels, against the known truth."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.evaluation.shares import shares

CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])


def draw(rng: np.random.Generator, mixture: list[float], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and the probabilities of the best classifier that was trained on equal shares."""
    labels = rng.choice(3, count, p=mixture)
    x = CENTRES[labels] + rng.normal(size=(count, 2))
    density = np.exp(-0.5 * ((x[:, None] - CENTRES) ** 2).sum(2))
    return labels, density / density.sum(axis=1, keepdims=True)


def test_changed_shares_are_found_with_their_intervals(rng: np.random.Generator) -> None:
    labels, known = draw(rng, [1 / 3] * 3, 2000)
    _, new = draw(rng, [0.7, 0.2, 0.1], 2000)
    found = shares(labels, known, new)
    assert [each.after for each in found] == pytest.approx([0.7, 0.2, 0.1], abs=0.05)
    assert sum(each.after for each in found) == pytest.approx(1)
    assert all(each.changed for each in found)
    assert all(each.low <= each.after <= each.high for each in found)


def test_the_intervals_cover_and_false_alarms_are_rare() -> None:
    covered, alarms, sets = 0, 0, 200
    for seed in range(sets):
        rng = np.random.default_rng(seed)
        labels, known = draw(rng, [1 / 3] * 3, 1000)
        _, new = draw(rng, [0.5, 0.3, 0.2], 300)
        covered += sum(each.low <= true <= each.high for each, true in
                       zip(shares(labels, known, new), (0.5, 0.3, 0.2), strict=True))
        _, same = draw(rng, [1 / 3] * 3, 300)
        alarms += any(each.changed for each in shares(labels, known, same))
    assert 0.91 <= covered / (3 * sets) <= 0.99
    assert alarms / sets <= 0.09


def test_a_class_that_is_gone_gets_no_share(rng: np.random.Generator) -> None:
    labels, known = draw(rng, [1 / 3] * 3, 1000)
    _, new = draw(rng, [0.5, 0.5, 0.0], 1000)
    gone = shares(labels, known, new)[2]
    assert gone.after == pytest.approx(0, abs=0.03)
    assert gone.changed


def test_one_image_and_a_class_without_images_are_no_error() -> None:
    p = np.array([[0.6, 0.3, 0.1]])
    found = shares(np.array([0, 1, 0, 1]), np.repeat(p, 4, axis=0), p)
    assert found[2].before == 0
    assert not any(np.isnan([each.after, each.low, each.high, each.p]).any() for each in found)
