"""Temperature scaling finds the temperature that probabilities were spoilt with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_runs import DIGITS, digits, material, run_of
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.metrics import log_loss

from tenfold.decisions.temperature import at_temperature, fit_temperature
from tenfold.errors import RunError
from tenfold.evaluation import calibration
from tenfold.evaluation.calibration import calibrate
from tenfold.report import Material


@pytest.fixture
def calibrated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels that were drawn from their own probabilities."""
    p = softmax(2 * rng.normal(size=(20_000, 4)), axis=1)
    return (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1), p


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_fitted_temperature_reverts_a_known_one(calibrated, temperature):
    labels, p = calibrated
    spoilt = at_temperature(p, temperature)
    found = fit_temperature(labels, spoilt)
    assert found == pytest.approx(1 / temperature, rel=0.04)
    np.testing.assert_allclose(at_temperature(spoilt, 1 / temperature), p, atol=1e-9)
    np.testing.assert_allclose(spoilt, softmax(np.log(p) / temperature, axis=1), atol=1e-12)


def test_no_other_temperature_has_a_lower_loss(calibrated):
    labels, p = calibrated
    spoilt = at_temperature(p, 0.5)
    found = minimize(lambda t: log_loss(labels, softmax(np.log(spoilt) / t, axis=1)), [1.0], bounds=[(0.1, 10)])
    assert fit_temperature(labels, spoilt) == pytest.approx(float(found.x[0]), rel=1e-3)


def test_probabilities_of_zero_and_one_give_a_bounded_temperature():
    labels, p = np.array([0, 1, 1]), np.eye(2)[[0, 1, 0]]
    assert 1 < fit_temperature(labels, p) <= 20.0
    assert np.isfinite(at_temperature(p, 20)).all()


def test_few_images_without_an_error_hardly_change_the_confidence(calibrated):
    labels, p = calibrated
    right = np.flatnonzero(p.argmax(axis=1) == labels)[:12]
    assert 0.5 < fit_temperature(labels[right], p[right]) < 1
    assert fit_temperature(labels[:0], p[:0]) == 1.0
    assert fit_temperature(np.array([0, 1]), np.full((2, 2), 0.5)) == pytest.approx(1.0, rel=1e-6)


def test_a_run_is_scored_before_and_after(tmp_path):
    run = run_of(tmp_path, material(*digits(400), DIGITS))
    result = calibrate(run)
    assert run.read_json("calibration.json") == result
    for split in ("validation", "test"):
        before, after = result["before"][split], result["after"][split]
        assert before["loss"] == run.metrics()[split]["loss"]
        assert after["accuracy"] == before["accuracy"]
        assert after["loss"]["low"] < after["loss"]["value"] < after["loss"]["high"]
    assert result["after"]["validation"]["loss"]["value"] < result["before"]["validation"]["loss"]["value"]


def test_nothing_changes_at_a_temperature_of_one(tmp_path, monkeypatch):
    made = replace(material(*digits(), DIGITS), metrics={})  # they would be those of other probabilities
    made.test[2][0] = np.float32(1e-30)  # far below what float32 tells from nothing beside 1
    made.test[2][0, (made.test[1][0] + 1) % 10] = 1
    monkeypatch.setattr(calibration, "fit_temperature", lambda *_: 1.0)
    result = calibrate(run_of(tmp_path, made))
    before, after = result["before"]["test"], result["after"]["test"]
    for name in ("loss", "brier", "ece"):
        assert after[name]["value"] == pytest.approx(before[name]["value"], abs=1e-6)


def test_calibration_needs_validation_predictions(tmp_path):
    run = run_of(tmp_path, Material(classes=DIGITS))
    with pytest.raises(RunError, match="no validation predictions"):
        calibrate(run)
    assert not run.has("calibration.json")
