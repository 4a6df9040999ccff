"""The benchmarks of what comes after a training: labels saved, accuracy without labels, decisions."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import decided, decided_folds
from benchmarks.active_learning import needed
from benchmarks.drift import cases, summary
from tenfold.data import open_dataset


def test_the_labels_needed_are_read_off_between_two_points() -> None:
    assert needed([0.5, 0.6, 0.7, 0.8], 0.65) == pytest.approx(500)
    assert needed([0.5, 0.6, 0.6, 0.8], 0.6) == pytest.approx(400)
    assert needed([0.5, 0.6], 0.9) == np.inf


def test_every_case_has_its_labels_and_other_images() -> None:
    test = open_dataset("shapes:train=20,test=20,seed=1").test
    images, labels = test.images[:8], test.labels[:8]
    found = list(cases(images, labels))
    assert len({name for _, name, _, _ in found}) == len(found)
    assert all(len(changed) == len(labels) for _, _, changed, labels in found)
    same = [name for _, name, changed, _ in found if len(changed) == len(images) and (changed == images).all()]
    assert same == ["unchanged"]


def test_the_summary_leaves_out_the_cases_without_an_estimate() -> None:
    row = {"truth": 0.7, "value": 0.72, "low": 0.65, "high": 0.8, "tells": True}
    found = summary([row, {**row, "truth": 0.6}, {**row, "truth": 0.1, "tells": False}])
    assert found["tells"] == pytest.approx(2 / 3)
    assert found["error"] == pytest.approx(7.0)
    assert found["covers"] == 0.5
    assert found["width"] == pytest.approx(15.0)
    assert summary([{**row, "tells": False}]) == {"cases": 1, "tells": 0.0}


def test_an_accepting_rule_stays_below_what_can_be_proved() -> None:
    scene = decided.SCENES[5]  # few images
    found = decided.simulate(scene, 60)
    assert 0.4 < found["of_best"] < found["at_most"] < 1
    assert found["last"] >= found["of_best"] - 0.02  # measured on other images
    assert found["holds"] > 0.9


def test_sets_over_folds_hold_more_than_they_promise() -> None:
    found = decided_folds.simulate(60, "erratic", 8)
    assert found["promised"] < 0.8 < found["raw"] <= found["shown"]
    assert 1 < found["size"] < 3
