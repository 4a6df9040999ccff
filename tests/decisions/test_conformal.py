"""Prediction sets hold the true class as often as they say, equal MAPIE's, and are refused for too few images."""

from __future__ import annotations

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from scipy.special import softmax

from tenfold.decisions.conformal import METHODS, Sets, aps_scores, coverage, exceeding, needed, rank, threshold


def drawn(rng: np.random.Generator, count: int, classes: int = 5, sharpness: float = 2.0,
          ) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a model that is too confident, or not confident enough."""
    logits = 1.5 * rng.normal(size=(count, classes))
    labels = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return labels, softmax(sharpness * logits, axis=1)


class NoDraw(np.random.RandomState):
    """Random numbers of MAPIE that are all 0: its APS then has no random term."""

    def uniform(self, *_: object, size: int = 1, **__: object) -> np.ndarray:
        return np.zeros(size)


class Known:
    """A classifier for MAPIE whose input already is the probabilities."""

    def __init__(self, classes: int) -> None:
        self.classes_ = np.arange(classes)
        self.n_features_in_ = classes

    def fit(self, *_: object) -> Known:
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x.argmax(axis=1)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return x

    def __sklearn_is_fitted__(self) -> bool:
        return True


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("method", list(METHODS))
def test_sets_and_thresholds_are_those_of_mapie(rng, method, level):
    labels, p = drawn(rng, 400)
    _, fresh = drawn(rng, 300)
    theirs = SplitConformalClassifier(Known(5), confidence_level=level, conformity_score=method, prefit=True,
                                            random_state=NoDraw())
    theirs.conformalize(p, labels)
    options = {"conformity_score_params": {"include_last_label": False}} if method == "aps" else {}
    _, sets = theirs.predict_set(fresh, **options)
    ours = Sets.fit(labels, p, level, method)
    assert ours.marginal == pytest.approx(float(np.ravel(theirs._mapie_classifier.quantiles_)[0]), abs=1e-9)
    chosen = ours.raw(fresh) if method == "lac" else ours.shown(fresh)
    np.testing.assert_array_equal(chosen, sets[:, :, 0])


@pytest.mark.parametrize("sharpness", [0.5, 3.0])
@pytest.mark.parametrize("method", list(METHODS))
def test_the_sets_hold_the_true_class_as_often_as_they_say(rng, method, sharpness):
    covered, by_class, sizes = [], [], []
    for _ in range(60):
        labels, p = drawn(rng, 200, sharpness=sharpness)
        fresh, q = drawn(rng, 500, sharpness=sharpness)
        sets = Sets.fit(labels, p, 0.9, method)
        assert sets.guaranteed.all()
        covered.append(coverage(sets.raw(q), fresh)[0] / 500)
        held = sets.raw(q, by_class=True)[np.arange(500), fresh]
        by_class.append([held[fresh == label].mean() for label in range(5)])
        sizes.append(coverage(sets.shown(q), fresh)[1])
    assert np.mean(covered) == pytest.approx(0.9 + 0.5 / 201, abs=0.015)  # 60 × 500 images: its deviation is 0.004
    assert np.mean(by_class, axis=0) == pytest.approx(np.full(5, 0.91), abs=0.03)
    assert 1 < np.mean(sizes) < 5


def test_a_level_needs_enough_images():
    assert [needed(level) for level in (0.8, 0.9, 0.95, 0.99, 0.999)] == [4, 9, 19, 99, 999]
    for level in (0.8, 0.9, 0.95, 0.99, 0.999):
        assert rank(needed(level), level) == needed(level)
        assert rank(needed(level) - 1, level) > needed(level) - 1
    assert threshold(np.arange(19.0), 0.95) == 18
    with pytest.raises(ValueError, match=r"18 images can't hold 0\.95; it needs 19"):
        threshold(np.arange(18.0), 0.95)


def test_a_class_with_too_few_images_gets_the_common_threshold():
    labels = np.array([0] * 20 + [1] * 8 + [3])
    p = softmax(np.random.default_rng(0).normal(size=(29, 4)), axis=1)
    sets = Sets.fit(labels, p, 0.9, "lac")
    assert sets.guaranteed.tolist() == [True, False, False, False]
    assert sets.by_class[1:].tolist() == [sets.marginal] * 3
    assert sets.by_class[0] == np.sort(1 - p[:20, 0])[18]


def test_ties_and_certainty_keep_the_true_class():
    certain = np.eye(3)[[0, 1, 2] * 10]
    sets = Sets.fit(np.array([0, 1, 2] * 10), certain, 0.9, "lac")
    assert sets.raw(certain).sum() == 30
    alike = np.full((30, 3), 1 / 3)
    assert Sets.fit(np.array([0, 1, 2] * 10), alike, 0.9, "lac").raw(alike).all()
    assert aps_scores(np.array([[0.2, 0.5, 0.3]]))[0] == pytest.approx([1.0, 0.5, 0.8])


def test_a_shown_set_is_never_empty():
    sets = Sets(0.9, "lac", 0.3, np.full(3, 0.3), np.ones(3, bool))
    p = np.array([[0.4, 0.35, 0.25], [0.8, 0.1, 0.1]])
    assert sets.raw(p).sum(axis=1).tolist() == [0, 1]
    assert sets.shown(p).tolist() == [[True, False, False], [True, False, False]]
    assert coverage(sets.shown(p), np.array([1, 0])) == (1, 1.0)


@pytest.mark.parametrize("count", [24, 200])
def test_the_fraction_beyond_a_threshold_varies_as_said(count: int, rng: np.random.Generator) -> None:
    low, high = exceeding(count, 0.95)
    beyond = np.array([1 - threshold(rng.random(count), 0.95) for _ in range(4000)])  # of uniform scores
    assert ((low <= beyond) & (beyond <= high)).mean() == pytest.approx(0.95, abs=0.015)
