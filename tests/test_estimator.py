"""A recipe as an estimator of scikit-learn."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from tenfold import TenfoldClassifier
from tenfold.errors import RecipeError
from tenfold.run import Run

RECIPE = {"model": {"name": "mlp", "hidden": [32]},
          "train": {"epochs": 10, "batch_size": 16, "learning_rate": 5e-3, "precision": "float32"}}

def digits(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    return load_digits().images[:count], load_digits().target[:count]


def test_it_passes_the_checks_of_scikit_learn() -> None:
    """All but that of the array API, which scikit-learn skips itself unless SCIPY_ARRAY_API is set."""
    check_estimator(TenfoldClassifier(RECIPE), on_skip=None)


def test_cross_validation_scores_it() -> None:
    scores = cross_val_score(TenfoldClassifier(RECIPE), *digits(), cv=3)
    assert scores.shape == (3,)
    assert scores.min() > 0.8


def test_a_grid_search_sets_overrides() -> None:
    search = GridSearchCV(TenfoldClassifier(RECIPE), {"overrides": [{"train.epochs": 1}, {"train.epochs": 8}]}, cv=2)
    search.fit(*digits(200))
    assert search.best_params_ == {"overrides": {"train.epochs": 8}}


def test_every_form_of_the_images_gives_the_same_classifier() -> None:
    x, y = digits(200)
    expected = TenfoldClassifier(RECIPE).fit(x, y).predict_proba(x[:5])
    forms: list[Any] = [x.reshape(-1, 64), x[..., None], x[:, None], np.rint(x * 255 / 16).astype(np.uint8)]
    for form in forms:
        found = TenfoldClassifier(RECIPE).fit(form, y).predict_proba(form[:5])
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_labels_keep_their_type_and_order() -> None:
    x, y = digits(200)
    words = np.array(["b", "a", "c"] * 4)[y]
    fitted = TenfoldClassifier(RECIPE).fit(x, words)
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    assert fitted.score(x, words) > 0.9


def test_a_pickle_predicts_the_same() -> None:
    x, y = digits(100)
    fitted = TenfoldClassifier(RECIPE).fit(x, y)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(x), fitted.predict_proba(x))


def test_runs_are_kept_on_request_and_seeds_differ(tmp_path: Path) -> None:
    x, y = digits(100)
    first, second = (TenfoldClassifier(RECIPE, random_state=seed, runs=tmp_path).fit(x, y) for seed in (1, 2))
    assert [Run.open(each.run_).recipe().train.seed for each in (first, second)] == [1, 2]
    assert not np.array_equal(first.predict_proba(x), second.predict_proba(x))


def test_a_wrong_recipe_is_one_line() -> None:
    with pytest.raises(RecipeError, match=r"^[^\n]*epochs"):
        clone(TenfoldClassifier(RECIPE, {"train.epochs": -1})).fit(*digits(100))
