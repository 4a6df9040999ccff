"""Misclassified images by confidence, and galleries: on numbers small enough to check by eye."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.evaluation.misclassified import (
    cell,
    gallery,
    guesses,
    least_confident,
    most_confident,
)

LABELS = np.array([0, 1, 0, 1, 1, 0])
P = np.array([[.9, .1], [.6, .4], [.2, .8], [.3, .7], [.55, .45], [.8, .2]])


def test_errors_are_ranked_by_confidence_from_either_end():
    assert [(e.index, e.true, e.predicted, e.probability) for e in most_confident(LABELS, P, 5)] == [
        (2, 0, 1, .8), (1, 1, 0, .6), (4, 1, 0, .55)]
    assert [e.index for e in least_confident(LABELS, P, 5)] == [4, 1, 2]
    assert [e.index for e in most_confident(LABELS, P, 1)] == [2]
    assert [g.correct for g in guesses(LABELS, P, 4)] == [True, False, False, True]
    assert most_confident(np.array([0]), P[:1], 5) == []


def test_a_gallery_has_four_kinds_of_images_in_order():
    shown = gallery(LABELS, P, 0, most=2)
    assert [g.index for g in shown.most_confident] == [0, 5]
    assert [g.index for g in shown.least_confident] == [5, 0]
    assert [g.index for g in shown.misclassified] == [2]
    assert [g.index for g in shown.predicted_as] == [1, 4]
    empty = gallery(LABELS, P, 7, most=2)
    assert (empty.most_confident, empty.misclassified, empty.predicted_as) == ((), (), ())


@pytest.mark.parametrize(("true", "predicted", "indices"), [(1, 0, [1, 4]), (0, 0, [5, 0]), (0, 1, [2]), (1, 1, [3])])
def test_a_cell_shows_confident_errors_or_uncertain_correct_predictions_first(true, predicted, indices):
    assert [g.index for g in cell(LABELS, P, true, predicted, 9)] == indices
