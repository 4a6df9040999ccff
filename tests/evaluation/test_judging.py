"""Judging decision rules: the area under the risk–coverage curve follows its definition."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.evaluation.judging import area, mean_risk
from tenfold.evaluation.weighted import Predictions, Weighted


def predictions(confidence: np.ndarray, correct: np.ndarray) -> Predictions:
    """Two classes; the first one is predicted with the confidence, above one half."""
    return Predictions(np.where(correct, 0, 1), np.stack([confidence, 1 - confidence], axis=1))


def test_the_area_is_the_mean_error_over_all_fractions(rng):
    confidence = 1 - 0.5 * rng.random(50)
    correct = rng.random(50) < confidence
    risks = np.cumsum(~correct[np.argsort(-confidence)]) / np.arange(1, 51)
    assert mean_risk(Weighted.evenly(predictions(confidence, correct)))[0] == pytest.approx(risks.mean())
    weights = rng.integers(0, 3, (50, 4)).astype(np.float32)
    drawn = [np.repeat(np.arange(50), weights[:, b].astype(int)) for b in range(4)]
    np.testing.assert_allclose(
        mean_risk(Weighted(predictions(confidence, correct), weights)),
        [mean_risk(Weighted.evenly(predictions(confidence[i], correct[i])))[0] for i in drawn], rtol=1e-6)


def test_images_of_the_same_confidence_are_answered_together():
    found = area(predictions(np.ones(8), np.arange(8) < 6))
    assert found["value"] == pytest.approx(0.25)
    assert found["low"] < 0.25 < found["high"]
