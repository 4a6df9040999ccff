"""Accuracy without labels: close to the truth, with an interval, and a refusal where it can't be told."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.evaluation.unlabelled import Changed, difference_of_confidences, estimate, match, matched

K = 5


def images(rng: np.random.Generator, count: int, skill: float, collapse: float = 0.0,
           shares: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a model of a skill; `collapse` draws it to the first class."""
    labels = rng.choice(K, count, p=shares) if shares is not None else np.arange(count) % K
    logits = 2 * (skill * np.eye(K)[labels] + rng.normal(size=(count, K))) + collapse * np.eye(K)[0]
    p = np.exp(logits)
    return labels, p / p.sum(axis=1, keepdims=True)


def accuracy(labels: np.ndarray, p: np.ndarray) -> float:
    return float((p.argmax(axis=1) == labels).mean())


@pytest.fixture(scope="module")
def reference() -> tuple[np.ndarray, np.ndarray]:
    return images(np.random.default_rng(0), 1500, 2.5)


@pytest.fixture(scope="module")
def changed() -> list[Changed]:
    rng = np.random.default_rng(1)
    drawn = [(f"kind {i}", *images(rng, 400, skill, collapse)) for i, (skill, collapse) in enumerate(
        [(2.4, 0), (2.0, 0), (1.6, 0.5), (1.2, 1), (0.8, 1), (2.2, 1), (1.8, 2), (1.4, 3)])]
    return [Changed(kind, accuracy(labels, p), p, 0.1) for kind, labels, p in drawn]


def test_matching_gives_each_class_its_share() -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    assert match(p, np.array([1.0, 0.0]), 4) == pytest.approx(0.75)
    assert match(p, np.array([0.5, 0.5]), 4) == pytest.approx((0.9 + 0.8 + 0.3 + 0.4) / 4)


def test_the_same_images_have_the_same_accuracy(reference, changed) -> None:
    found = estimate(*reference, reference[1], changed, 0.05, False)
    assert found.value == pytest.approx(accuracy(*reference))
    assert found.low < found.value < found.high
    assert found.to_dict()["tells"]


@pytest.mark.parametrize(("skill", "collapse"), [(2.3, 0.0), (2.0, 0.3), (2.1, 1.0)])
def test_the_interval_holds_the_truth_also_where_the_model_is_too_sure(skill, collapse, reference, changed) -> None:
    labels, p = images(np.random.default_rng(7), 1000, skill, collapse)
    found = estimate(*reference, p, changed, 0.1, False)
    assert found.low <= accuracy(labels, p) <= found.high
    assert not found.reasons


def test_a_model_that_sees_one_class_everywhere_is_not_believed(reference) -> None:
    right = reference[1].argmax(axis=1) == reference[0]
    labels, p = images(np.random.default_rng(3), 1000, 0.5, 12.0)
    assert difference_of_confidences(right, reference[1], p) > 0.9
    assert match(p, np.full(K, 1 / K), 500) < match(reference[1], np.full(K, 1 / K), 500) - 0.3
    assert accuracy(labels, p) < 0.4


def test_changed_shares_widen_the_interval_upwards(reference, changed) -> None:
    labels, p = images(np.random.default_rng(5), 1000, 2.5, shares=np.array([0.6, 0.1, 0.1, 0.1, 0.1]))
    same = estimate(*reference, p, changed, 0.05, False)
    wider = estimate(*reference, p, changed, 0.05, True)
    assert same.low == wider.low
    assert wider.high >= accuracy(labels, p) > same.value


def test_few_images_strange_ones_and_wide_intervals_are_refused(reference, changed) -> None:
    few = estimate(*reference, reference[1][:9], changed, 0.05, False)
    assert "only 9 images" in few.reasons[0]
    assert few.to_dict() == {"value": None, "low": None, "high": None, "loss": few.loss, "reasons": list(few.reasons),
                             "tells": False}
    strange = estimate(*reference, reference[1], changed, 0.9, False)
    assert "after any of the known changes" in strange.reasons[0]
    _, p = images(np.random.default_rng(2), 600, 0.0, 12.0)
    assert "after any of the known changes" in estimate(*reference, p, changed, 0.1, False).reasons[0]
    wrong = [Changed(each.kind, each.accuracy / 3, each.probabilities, each.new) for each in changed]
    assert "the interval would go from" in estimate(*reference, p[:300] * 0 + 0.2, wrong, 0.1, False).reasons[-1]


def test_images_are_matched_in_whole_batches_and_not_more_than_six() -> None:
    """The sampling error is that of so many images."""
    assert [matched(count, 500) for count in (500, 999, 1000, 10_000)] == [500, 500, 1000, 3000]
