"""The metrics mean what scikit-learn's mean, and say so when they mean nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from tenfold.errors import UnknownNameError
from tenfold.evaluation.metrics import metric, score, wilson
from tenfold.registry import METRICS


def probabilities(n: int, k: int, seed: int, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Labels with every class present and softmax probabilities that often favour them."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    logits = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[labels]
    p = np.exp(logits)
    return labels, (p / p.sum(axis=1, keepdims=True)).astype(dtype)


@pytest.mark.parametrize(("n", "k"), [(7, 2), (400, 2), (30, 5), (1000, 10), (500, 100)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_metrics_are_those_of_scikit_learn(n, k, dtype):
    labels, p = probabilities(n, k, seed=n + k, dtype=dtype)
    predicted, all_labels = p.argmax(axis=1), np.arange(k)
    options = {"labels": all_labels, "average": "macro", "zero_division": 0}
    tied = p.round(1)
    expected = {
        "loss": reference.log_loss(labels, p, labels=all_labels),
        "accuracy": reference.accuracy_score(labels, predicted),
        "precision_macro": reference.precision_score(labels, predicted, **options),
        "recall_macro": reference.recall_score(labels, predicted, **options),
        "f1_macro": reference.f1_score(labels, predicted, **options),
    }
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for name, value in expected.items():
        assert metric(name)(labels, p) == pytest.approx(value, rel=tolerance), name
    for scores in (p, tied):
        areas = [reference.roc_auc_score(labels == c, scores[:, c]) for c in (all_labels if k > 2 else [1])]
        assert metric("roc_auc")(labels, scores) == pytest.approx(np.mean(areas), rel=1e-9)
    if k > 2 and dtype == np.float64:
        assert metric("roc_auc")(labels, p) == pytest.approx(
            reference.roc_auc_score(labels, p, multi_class="ovr", average="macro"), rel=1e-12)


def test_a_certain_and_wrong_prediction_has_the_loss_of_scikit_learn():
    labels, p = np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert metric("loss")(labels, p) == pytest.approx(reference.log_loss(labels, p))


def test_scores_by_class_are_those_of_scikit_learn():
    labels, p = probabilities(300, 4, seed=3)
    result = score(labels, p, ["a", "b", "c", "d"])
    columns = reference.precision_recall_fscore_support(labels, p.argmax(axis=1))
    for c, name in enumerate("abcd"):
        row = result["per_class"][name]
        values = [row[key] for key in ("precision", "recall", "f1", "support")]
        assert values == pytest.approx([column[c] for column in columns])
        assert row["roc_auc"] == pytest.approx(reference.roc_auc_score(labels == c, p[:, c]))
    assert result["confusion_matrix"] == reference.confusion_matrix(labels, p.argmax(axis=1)).tolist()
    assert result["count"] == 300
    assert result["notes"] == []


def test_the_interval_of_accuracy_is_wilsons():
    # Agresti & Coull (1998): 0 of 10 has the score interval 0 to 0.2775.
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    low, high = wilson(0.813, 1000)
    assert (low, high) == pytest.approx((0.7876, 0.8360), abs=1e-4)
    labels, p = probabilities(200, 3, seed=1)
    entry = score(labels, p, "abc")["accuracy"]
    assert (entry["low"], entry["high"]) == wilson(entry["value"], 200)
    assert score(labels, p, "abc")["loss"]["low"] is None


def test_an_absent_class_is_undefined_and_named():
    labels, p = np.array([0, 0, 2, 2]), np.array([[.8, .1, .1], [.2, .7, .1], [.1, .1, .8], [.3, .1, .6]])
    result = score(labels, p, ["cat", "dog", "eel"])
    assert result["per_class"]["dog"] == {
        "precision": None, "recall": None, "f1": None, "support": 0, "roc_auc": None}
    assert result["recall_macro"]["value"] == pytest.approx((0.5 + 1) / 2)
    assert result["precision_macro"]["value"] == 1.0
    assert result["roc_auc"]["value"] == pytest.approx(np.mean(
        [reference.roc_auc_score(labels == c, p[:, c]) for c in (0, 2)]))
    assert len(result["notes"]) == 1
    assert "dog" in result["notes"][0]
    assert "cat" not in result["notes"][0]


def test_a_class_never_predicted_lowers_the_precision_and_is_named():
    labels, p = np.array([0, 1, 1]), np.array([[.9, .1], [.8, .2], [.7, .3]])
    result = score(labels, p, ["cat", "dog"])
    assert result["per_class"]["dog"]["precision"] is None
    assert result["per_class"]["dog"]["recall"] == 0.0
    assert result["precision_macro"]["value"] == pytest.approx(1 / 6)
    assert "Never predicted: dog" in result["notes"][0]


def test_one_class_has_no_roc_auc():
    result = score(np.array([1, 1]), np.array([[.4, .6], [.6, .4]]), ["cat", "dog"])
    assert result["roc_auc"]["value"] is None
    assert any("ROC-AUC is undefined" in note for note in result["notes"])


@pytest.mark.parametrize(("labels", "p"), [
    (np.zeros(0, np.int64), np.zeros((0, 3), np.float32)),
    (np.array([0, 1]), np.array([[np.nan] * 3, [.2, .6, .2]])),
])
def test_nothing_to_score_is_undefined_not_zero(labels, p):
    result = score(labels, p, ["a", "b", "c"])
    assert all(result[name]["value"] is None for name in METRICS.names())
    assert len(result["notes"]) == 1
    json.dumps(result, allow_nan=False)


def test_one_image_can_be_scored():
    result = score(np.array([1]), np.array([[.1, .2, .7]], np.float32), ["a", "b", "c"])
    assert result["accuracy"]["value"] == 0.0
    assert 0 < result["accuracy"]["high"] < 1
    json.dumps(result, allow_nan=False)


def test_probabilities_must_fit_the_classes():
    with pytest.raises(ValueError, match=r"\[2, 3\]; expected \[2, 2\]"):
        score(np.array([0, 1]), np.full((2, 3), 1 / 3), ["a", "b"])


def test_metrics_know_their_direction_and_their_text():
    assert METRICS.names() == ["loss", "accuracy", "precision_macro", "recall_macro", "f1_macro", "roc_auc"]
    assert [name for name in METRICS.names() if not metric(name).higher_is_better] == ["loss"]
    assert metric("accuracy").text({"value": .8134, "low": .7882, "high": .8364}) == "81.3 % [78.8, 83.6]"
    assert metric("f1_macro").text({"value": .5, "low": None, "high": None}) == "50.0 %"
    assert metric("loss").text({"value": .57312, "low": None, "high": None}) == "0.5731"
    assert metric("roc_auc").text({"value": None, "low": None, "high": None}) == "–"
    assert metric("loss").text(None) == "–"
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        metric("acuracy")
