"""The confusion matrix and its pairs: on numbers small enough to check by eye, and against scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn import metrics as reference

from tenfold.evaluation.confusion import Pair, by_true_class, confused_pairs, confusion_matrix, confusion_of
from tenfold.evaluation.weighted import Predictions


def test_confused_pairs_come_by_count_then_fraction_without_the_diagonal():
    matrix = np.array([[8, 2, 0], [2, 2, 1], [0, 5, 0]])
    assert confused_pairs(matrix) == [Pair(2, 1, 5, 1.0), Pair(1, 0, 2, 0.4), Pair(0, 1, 2, 0.2), Pair(1, 2, 1, 0.2)]
    assert confused_pairs(np.diag([3, 0])) == []


def test_the_matrix_matches_scikit_learn_and_the_pairs_match_its_cells(rng):
    labels, p = rng.integers(0, 5, 200), rng.dirichlet(np.ones(6), 200)
    matrix = confusion_matrix(Predictions(labels, p))
    np.testing.assert_array_equal(matrix, reference.confusion_matrix(labels, p.argmax(axis=1), labels=range(6)))
    pairs = confused_pairs(matrix)
    assert sum(pair.count for pair in pairs) == matrix.sum() - np.trace(matrix)
    assert all(matrix[pair.true, pair.predicted] == pair.count for pair in pairs)


def test_the_test_split_comes_before_validation():
    metrics = {"validation": {"confusion_matrix": [[1, 0], [0, 1]]},
               "test": {"confusion_matrix": [[3, 1], [0, 0]]}}
    split, counts = confusion_of(metrics)
    assert (split, counts.tolist()) == ("test", [[3, 1], [0, 0]])
    assert confusion_of({"validation": metrics["validation"]})[0] == "validation"
    assert confusion_of({}) is None


def test_rows_are_fractions_of_the_true_class():
    fractions = by_true_class(np.array([[3, 1], [0, 0]]))
    assert fractions[0].tolist() == [0.75, 0.25]
    assert np.isnan(fractions[1]).all()
