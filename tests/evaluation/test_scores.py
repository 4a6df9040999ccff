"""The scores of a split: intervals around every value, and a name for whatever is undefined."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from tenfold.evaluation.metrics import Metric, metric
from tenfold.evaluation.scores import entries, score
from tenfold.evaluation.statistics import resamples, wilson
from tenfold.evaluation.weighted import Predictions, Weighted
from tenfold.registry import METRICS

UNDEFINED = {"value": None, "low": None, "high": None}


def probabilities(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels with every class present and softmax probabilities that often favour them."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    p = np.exp(rng.normal(size=(n, k)) + 1.5 * np.eye(k)[labels])
    return labels, p / p.sum(axis=1, keepdims=True)


def test_every_value_lies_in_its_interval_overall_and_by_class():
    labels, p = probabilities(300, 7, seed=3)
    result = score(labels, p, "abcdefg")
    entries = [result[name] for name in METRICS.names()]
    entries += [entry for row in result["per_class"].values() for key, entry in row.items() if key != "support"]
    assert len(entries) == len(METRICS.names()) + 7 * 5
    for entry in entries:
        assert entry["low"] < entry["value"] < entry["high"]
    assert json.loads(json.dumps(result, allow_nan=False)) == score(labels, p, "abcdefg")


def test_the_loss_of_two_images_is_uncertain_and_a_missing_interval_has_its_reason():
    labels, p = np.array([0, 1]), np.array([[0.6, 0.4], [0.5, 0.5]])
    found = score(labels, p, "ab")
    loss, area = found["loss"], found["roc_auc"]
    assert loss["low"] == 0  # a loss is not negative
    assert loss["high"] - loss["value"] > 8 * abs(np.log(0.6) - np.log(0.5)) / 2
    assert (area["low"], area["high"]) == (None, None)
    assert area["reason"] == "an interval needs more images, or more of a class"


def test_the_interval_of_a_small_calibration_error_contains_it():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 500)
    labels = (p.cumsum(axis=1) < rng.random((500, 1))).sum(axis=1)
    entry = score(labels, p, "abc")["ece"]
    assert 0 <= entry["low"] < entry["value"] < entry["high"] < 0.12


def test_scores_by_class_are_those_of_scikit_learn():
    labels, p = probabilities(300, 4, seed=3)
    result = score(labels, p, ["a", "b", "c", "d"])
    columns = reference.precision_recall_fscore_support(labels, p.argmax(axis=1))
    for c, name in enumerate("abcd"):
        row = result["per_class"][name]
        values = [*(row[key]["value"] for key in ("precision", "recall", "f1")), row["support"]]
        assert values == pytest.approx([column[c] for column in columns])
        assert row["roc_auc"]["value"] == pytest.approx(reference.roc_auc_score(labels == c, p[:, c]))
        assert row["average_precision"]["value"] == pytest.approx(
            reference.average_precision_score(labels == c, p[:, c]))
    assert result["confusion_matrix"] == reference.confusion_matrix(labels, p.argmax(axis=1)).tolist()
    assert result["count"] == 300
    assert result["notes"] == []


def test_the_interval_of_a_fraction_is_wilsons():
    labels, p = probabilities(200, 3, seed=1)
    entry = score(labels, p, "abc")["accuracy"]
    assert (entry["low"], entry["high"]) == wilson(round(200 * entry["value"]), 200)
    row = score(labels, p, "abc")["per_class"]["b"]
    assert (row["recall"]["low"], row["recall"]["high"]) == wilson(
        round(row["recall"]["value"] * row["support"]), row["support"])


def test_metrics_of_an_absent_class_are_undefined_and_reported():
    labels, p = np.array([0, 0, 2, 2]), np.array([[.8, .1, .1], [.2, .7, .1], [.1, .1, .8], [.3, .1, .6]])
    result = score(labels, p, ["cat", "dog", "eel"])
    reason = "the split has no images of this class"
    row = result["per_class"]["dog"]
    assert row.pop("support") == 0
    assert all(entry == {**UNDEFINED, "reason": reason} for entry in row.values())
    assert result["recall_macro"]["value"] == pytest.approx((0.5 + 1) / 2)
    assert result["precision_macro"]["value"] == 1.0
    assert result["roc_auc"]["value"] == pytest.approx(np.mean(
        [reference.roc_auc_score(labels == c, p[:, c]) for c in (0, 2)]))
    assert len(result["notes"]) == 1
    assert "dog" in result["notes"][0]
    assert "cat" not in result["notes"][0]


def test_a_class_never_predicted_lowers_the_precision_and_is_reported():
    labels, p = np.array([0, 1, 1]), np.array([[.9, .1], [.8, .2], [.7, .3]])
    result = score(labels, p, ["cat", "dog"])
    assert result["per_class"]["dog"]["precision"] == {**UNDEFINED, "reason": "no image is predicted as this class"}
    assert result["per_class"]["dog"]["recall"]["value"] == 0.0
    assert result["precision_macro"]["value"] == pytest.approx(1 / 6)
    assert "Never predicted: dog" in result["notes"][0]


def test_one_class_has_no_roc_auc():
    result = score(np.array([1, 1]), np.array([[.4, .6], [.6, .4]]), ["cat", "dog"])
    assert result["roc_auc"] == {**UNDEFINED, "reason": "it needs images of more than one class"}
    assert result["average_precision"]["value"] is None
    assert result["top_3_accuracy"]["reason"] == "it needs more than 3 classes"
    assert any("ROC-AUC is undefined" in note for note in result["notes"])


@pytest.mark.parametrize(("labels", "p"), [
    (np.zeros(0, np.int64), np.zeros((0, 3), np.float32)),
    (np.array([0, 1]), np.array([[np.nan] * 3, [.2, .6, .2]])),
])
def test_metrics_of_no_images_are_undefined_not_zero(labels, p):
    result = score(labels, p, ["a", "b", "c"])
    assert all(result[name]["value"] is None for name in METRICS.names())
    assert len(result["notes"]) == 1
    json.dumps(result, allow_nan=False)


def test_one_image_can_be_scored():
    result = score(np.array([1]), np.array([[.1, .2, .7]], np.float32), ["a", "b", "c"])
    assert result["accuracy"]["value"] == 0.0
    assert 0 < result["accuracy"]["high"] < 1
    for name in ("loss", "brier", "ece", "f1_macro"):
        assert result[name]["value"] is not None
        assert (result[name]["low"], result[name]["high"]) == (None, None)
    assert result["per_class"]["b"]["f1"] == {"value": 0.0, "low": None, "high": None}
    json.dumps(result, allow_nan=False)


def test_a_perfect_score_is_not_certain():
    labels = np.repeat([0, 1, 2], [20, 20, 10])
    result = score(labels, np.eye(3)[labels] * 0.97 + 0.01, "abc", resamples=200)
    for name in ("recall_macro", "f1_macro", "roc_auc", "average_precision", "cohen_kappa", "matthews"):
        assert result[name]["value"] == pytest.approx(1)
        assert 0.8 < result[name]["low"] < result["accuracy"]["low"]  # the smallest class weighs as much as others
        assert result[name]["high"] == 1
    lows = [result["per_class"][name]["f1"]["low"] for name in "abc"]
    assert lows == pytest.approx([result["per_class"][name]["recall"]["low"] for name in "abc"], abs=1e-4)
    assert lows[2] < lows[0]


def test_a_class_that_is_never_found_is_as_uncertain_as_its_recall():
    labels = np.repeat([0, 1], [30, 10])
    found = score(labels, np.tile([0.8, 0.2], (40, 1)), "ab", resamples=200)["per_class"]["b"]
    assert found["f1"]["value"] == found["recall"]["value"] == 0
    assert found["f1"]["high"] == pytest.approx(found["recall"]["high"], abs=1e-4)


def test_probabilities_must_fit_the_classes():
    with pytest.raises(ValueError, match=r"\[2, 3\]; expected \[2, 2\]"):
        score(np.array([0, 1]), np.full((2, 3), 1 / 3), ["a", "b"])


def test_metrics_may_share_a_function(monkeypatch):
    accuracy = metric("accuracy")
    twice = Metric("twice", accuracy.function, "The same", "same")  # resampled, unlike the other one
    monkeypatch.setattr(METRICS, "_entries", {**METRICS._entries, "twice": twice})
    labels, p = probabilities(200, 3, seed=1)
    result = score(labels, p, "abc", resamples=200)
    assert result["twice"]["value"] == result["accuracy"]["value"]
    assert result["twice"]["low"] != result["accuracy"]["low"]
    assert result["ece"] == score(labels, p, "abc", resamples=200)["ece"]
    assert entries(labels, p, ["accuracy", "twice"], 200)["twice"] == result["twice"]


def test_resamples_of_very_many_images_are_not_rounded():
    """Sums of products of 250,000 counts in float32 would be wrong by more than half a standard deviation."""
    labels, p = probabilities(250_000, 2, seed=0)
    predictions, weights = Predictions(labels, p), next(resamples(labels, 4))
    for name in ("average_precision", "roc_auc"):
        exact = metric(name).function(Weighted(predictions, weights.astype(np.float64)))
        np.testing.assert_allclose(metric(name).function(Weighted(predictions, weights)), exact, atol=2e-7)
