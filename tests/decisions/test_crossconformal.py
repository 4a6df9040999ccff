"""Sets over folds equal MAPIE's, hold the true class as often as promised; with one fold, they are split conformal."""

from __future__ import annotations

import numpy as np
import pytest
from mapie.classification import CrossConformalClassifier
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from tenfold.decisions.conformal import METHODS, Sets, coverage
from tenfold.decisions.crossconformal import MOST, CrossSets, members, promised

CLASSES, FEATURES, FOLDS = 4, 6, 5
MEANS = 0.8 * np.random.default_rng(1).normal(size=(CLASSES, FEATURES))


def drawn(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(features float64 [n, FEATURES], labels int64 [n])."""
    labels = rng.integers(0, CLASSES, count)
    return MEANS[labels] + rng.normal(size=(count, FEATURES)), labels


def nearest(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Probabilities of `others` that fall with the distance to the class means of a few images: too sure of itself."""
    means = np.stack([x[y == label].mean(axis=0) if (y == label).any() else np.zeros(FEATURES)
                      for label in range(CLASSES)])
    return softmax(-((others[:, None] - means) ** 2).sum(axis=2), axis=1)


def over_folds(rng: np.random.Generator, count: int, fresh: np.ndarray, method: str, level: float,
               ) -> tuple[CrossSets, np.ndarray]:
    """(the rule of images that were drawn, the probabilities of fresh ones by each model [n, FOLDS, CLASSES])."""
    x, y = drawn(rng, count)
    fold = rng.permutation(count) % FOLDS
    models = [(x[fold != k], y[fold != k]) for k in range(FOLDS)]
    held = [(y[fold == k], nearest(*models[k], x[fold == k])) for k in range(FOLDS)]
    return CrossSets.fit(held, level, method), np.stack([nearest(*model, fresh) for model in models], axis=1)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_sets_are_those_of_mapie(rng: np.random.Generator, level: float) -> None:
    x, y = drawn(rng, 99)  # MAPIE compares with (n - 1)(1 - level), the paper with (n + 1)(1 - level) - 1: here alike
    fresh, _ = drawn(rng, 300)
    folds = KFold(3, shuffle=True, random_state=0)
    theirs = CrossConformalClassifier(LogisticRegression(), level, "lac", folds).fit_conformalize(x, y)
    _, sets = theirs.predict_set(fresh, agg_scores="crossval")
    parts = list(folds.split(x))
    models = [LogisticRegression().fit(x[rest], y[rest]) for rest, _ in parts]
    mine = CrossSets.fit([(y[left], model.predict_proba(x[left])) for model, (_, left) in
                          zip(models, parts, strict=True)], level, "lac")
    chosen = mine.raw(np.stack([model.predict_proba(fresh) for model in models], axis=1))
    np.testing.assert_array_equal(chosen, sets[:, :, 0])
    assert 0 < chosen.mean() < 1


@pytest.mark.parametrize(("method", "most"), [("lac", 0.94), ("aps", 0.98)])  # without its random term, APS holds more
def test_the_sets_hold_the_true_class_as_often_as_they_say(method: str, most: float) -> None:
    fresh, labels = drawn(np.random.default_rng(5), 400)
    held, sizes = [], []
    for seed in range(60):
        sets, p = over_folds(np.random.default_rng(seed), 60, fresh, method, 0.9)
        held.append(coverage(sets.raw(p), labels)[0] / len(labels))
        sizes.append(coverage(sets.shown(p), labels)[1])
    assert 0.89 < np.mean(held) < most  # 60 sets of images: its deviation is 0.004
    assert promised([12] * FOLDS, 0.9) == sets.promised < 0.7
    assert 1 < np.mean(sizes) < CLASSES


@pytest.mark.parametrize("method", list(METHODS))
def test_one_fold_is_split_conformal_prediction(rng: np.random.Generator, method: str) -> None:
    (x, y), (fresh, _) = drawn(rng, 150), drawn(rng, 200)
    p, q = nearest(x[:50], y[:50], x[50:]), nearest(x[:50], y[:50], fresh)
    split = Sets.fit(y[50:], p, 0.9, method)
    np.testing.assert_array_equal(CrossSets.fit([(y[50:], p)], 0.9, method).raw(q[:, None]), split.raw(q))


def test_the_promise_follows_from_the_number_of_images() -> None:
    assert promised([20] * 5, 0.9) == pytest.approx(1 - 2 * (5 + 10 - 1) / 105)
    assert promised([2000] * 5, 0.9) == pytest.approx(0.8, abs=0.001)
    assert promised([3] * 3, 0.9) == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"8 images can't hold 0\.9"):
        CrossSets.of(0.9, "lac", [np.zeros(4), np.zeros(4)])


def test_a_shown_set_has_the_class_that_is_most_probable_in_the_mean() -> None:
    sets = CrossSets(0.5, "lac", (np.array([0.1, 0.2]), np.array([0.1, 0.3])))
    p = np.array([[[0.4, 0.6, 0.0], [0.5, 0.2, 0.3]]])
    assert sets.raw(p).tolist() == [[False, False, False]]
    assert sets.shown(p).tolist() == [[True, False, False]]


def test_of_many_images_the_scores_of_some_are_kept() -> None:
    labels = np.zeros(4 * MOST // 3, np.int64)
    p = np.linspace(0, 1, len(labels))[:, None]
    found = CrossSets.fit([(labels, p), (labels[:60], p[:60])], 0.9, "lac")
    assert MOST * 0.97 < sum(map(len, found.scores)) <= MOST + 2


def test_the_members_are_read_from_the_features_of_their_ensemble(rng: np.random.Generator) -> None:
    p = rng.dirichlet(np.ones(3), (4, 2))
    features = np.hstack([rng.normal(size=(4, 7)), np.log(p).reshape(4, 6), np.log(p.mean(axis=1))])
    np.testing.assert_allclose(members(features, 2, 3), p)
    with pytest.raises(ValueError, match="8 features"):
        members(features[:, :8], 2, 3)
