"""The metrics mean what scikit-learn's mean, and say so when they mean nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from tenfold.errors import UnknownNameError
from tenfold.evaluation import statistics
from tenfold.evaluation.metrics import confidence_bins, metric
from tenfold.evaluation.weighted import Predictions, Weighted
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
        "cohen_kappa": reference.cohen_kappa_score(labels, predicted),
        "matthews": reference.matthews_corrcoef(labels, predicted),
        "brier": reference.brier_score_loss(labels, p[:, 1] if k == 2 else p, labels=all_labels),
    }
    for top in (3, 5):
        if k > top:
            expected[f"top_{top}_accuracy"] = reference.top_k_accuracy_score(labels, p, k=top, labels=all_labels)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for name, value in expected.items():
        assert metric(name)(labels, p) == pytest.approx(value, rel=tolerance), name
    for scores in (p, tied):
        chosen = all_labels if k > 2 else [1]
        curves = [reference.average_precision_score(labels == c, scores[:, c]) for c in chosen]
        assert metric("average_precision")(labels, scores) == pytest.approx(np.mean(curves), rel=1e-9)
        areas = [reference.roc_auc_score(labels == c, scores[:, c]) for c in chosen]
        assert metric("roc_auc")(labels, scores) == pytest.approx(np.mean(areas), rel=1e-9)
    if k > 2 and dtype == np.float64:
        assert metric("roc_auc")(labels, p) == pytest.approx(
            reference.roc_auc_score(labels, p, multi_class="ovr", average="macro"), rel=1e-12)
        assert metric("roc_auc_ovo")(labels, p) == pytest.approx(
            reference.roc_auc_score(labels, p, multi_class="ovo", average="macro"), rel=1e-9)


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_defined_from_its_fewest_classes_on(name):
    fewest = metric(name).classes
    assert np.isfinite(metric(name)(*probabilities(20, fewest, seed=0)))
    assert fewest == 2 or np.isnan(metric(name)(*probabilities(20, fewest - 1, seed=0)))


@pytest.mark.parametrize("labels", [[0, 1, 1, 2], [1, 1, 1, 1], [0, 0, 0, 0]])
@pytest.mark.parametrize("predicted", [[1, 1, 1, 1], [0, 1, 2, 1]])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore:A single label was found")
def test_agreement_of_constant_predictions_and_labels_is_scikit_learns_or_undefined(labels, predicted):
    ours = {name: metric(name)(np.array(labels), np.eye(3)[predicted]) for name in ("matthews", "cohen_kappa")}
    assert ours["cohen_kappa"] == pytest.approx(reference.cohen_kappa_score(labels, predicted), nan_ok=True)
    if len(set(labels)) > 1:
        assert ours["matthews"] == pytest.approx(reference.matthews_corrcoef(labels, predicted))
    else:  # scikit-learn says 0, of labels with which nothing can correlate
        assert np.isnan(ours["matthews"])
    assert metric("matthews")(np.array([0, 1, 1, 2]), np.eye(3)[[1, 1, 1, 1]]) == 0


def test_differences_lie_within_the_range_of_the_metric():
    assert metric("accuracy").difference_within((-1.402, 1.656)) == (-1, 1)
    assert metric("cohen_kappa").difference_within((-1.5, 2.5)) == (-1.5, 2)
    assert metric("loss").difference_within((-30.0, 40.0)) == (-30, 40)
    assert metric("loss").difference_within(None) is None


def test_a_certain_and_wrong_prediction_has_the_loss_of_scikit_learn():
    labels, p = np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert metric("loss")(labels, p) == pytest.approx(reference.log_loss(labels, p))


@pytest.mark.parametrize("name", METRICS.names())
def test_a_weight_counts_as_repetition_of_the_image(name):
    """A metric under whole weights is the metric of the images repeated so often: the ground of the bootstrap."""
    labels, p = probabilities(200, 6, seed=5)
    weights = np.random.default_rng(0).integers(0, 4, (200, 3)).astype(np.float32)
    values = metric(name).function(Weighted(Predictions(labels, p.round(2)), weights))
    for i in range(3):
        times = weights[:, i].astype(int)
        repeated = metric(name)(labels.repeat(times), p.round(2).repeat(times, axis=0))
        assert values[i] == pytest.approx(repeated, rel=1e-6), name


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy_by_bin():
    # Four images at confidence 0.75, two of them right: a gap of 0.25; four at 0.95, all right: 0.05.
    p = np.array([[.75, .25]] * 4 + [[.95, .05]] * 4)
    assert metric("ece")(np.array([0, 0, 1, 1, 0, 0, 0, 0]), p) == pytest.approx((.25 + .05) / 2)
    assert confidence_bins(np.array([0.0, 1 / 15, 0.07, 1.0])).tolist() == [0, 0, 1, 14]


def test_the_first_of_equally_probable_classes_is_predicted():
    labels, p = np.array([0, 3, 4, 5]), np.full((4, 7), 1 / 7)
    assert metric("accuracy")(labels, p) == 1 / 4
    assert metric("top_3_accuracy")(labels, p) == 1 / 4
    assert metric("top_5_accuracy")(labels, p) == 3 / 4


def test_metrics_have_a_direction_and_a_text_format():
    assert METRICS.names()[:2] == ["loss", "accuracy"]
    assert [name for name in METRICS.names() if not metric(name).higher_is_better] == ["loss", "brier", "ece"]
    assert (metric("loss").number(0.1, "+"), metric("accuracy").number(-0.1, "+")) == ("+0.1000", "-10.0")
    entry = {"value": .8134, "low": .7882, "high": .8364}
    assert metric("accuracy").text(entry) == "81.3 % [78.8, 83.6]"
    assert (metric("accuracy").value_text(entry), metric("accuracy").interval_text(entry)) == ("81.3 %", "[78.8, 83.6]")
    assert metric("loss").interval_text(entry, "+") == "[+0.7882, +0.8364]"
    assert metric("loss").interval_text(None) == ""
    assert metric("f1_macro").text({"value": .5, "low": None, "high": None}) == "50.0 %"
    assert metric("loss").text({"value": .57312, "low": None, "high": None}) == "0.5731"
    assert metric("roc_auc").text({"value": None, "low": None, "high": None}) == "–"
    assert metric("loss").text(None) == "–"
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        metric("acuracy")


@pytest.mark.parametrize("name", METRICS.names())
def test_a_single_run_has_the_same_interval_wherever_it_is_stated(name):
    predictions, known = Predictions(*probabilities(24, 7, seed=1)), metric(name)
    value = known(predictions.labels, predictions.probabilities)
    spread, = statistics.bootstrap(predictions, [known.function])
    if known.inflated:
        over = known.over_seeds(statistics.deflated(spread, value)[None], np.array([value]), [predictions])
    else:
        over = known.over_seeds(spread[None], np.array([value]), [predictions])
    np.testing.assert_allclose(known.within(over.uncertain.interval()), known.interval(value, spread, predictions))


@pytest.mark.parametrize("name", ["loss", "brier"])
def test_the_difference_between_two_models_on_few_images_is_as_uncertain_as_students(name):
    rng, known, pairs = np.random.default_rng(0), metric(name), []
    labels = np.arange(10) % 3
    for seed in (0, 1):
        logits = rng.normal(size=(10, 3)) + (1 + seed) * np.eye(3)[labels]
        pairs.append(Predictions(labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)))
    of_image = [np.array([known(labels[[i]], each.probabilities[[i]]) for i in range(10)]) for each in pairs]
    expected = stats.ttest_rel(*of_image).confidence_interval()
    one, other = (known.over_seeds(statistics.bootstrap(each, [known.function])[0][None],
                                   np.array([known(each.labels, each.probabilities)]), [each]) for each in pairs)
    low, high = one.minus(other).interval()
    # Resamples keep the images of each class, so they vary a little less.
    assert 0.75 < (high - low) / (expected.high - expected.low) < 1.1
