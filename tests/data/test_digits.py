"""The digits: the same as scikit-learn's own function reads."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tenfold.data import open_dataset
from tenfold.errors import UsageError


def test_they_are_those_of_scikit_learn():
    ours, theirs = open_dataset("digits"), load_digits()
    np.testing.assert_array_equal(ours.train.labels, theirs.target)
    np.testing.assert_array_equal(ours.train.images[..., 0], np.round(theirs.images * 255 / 16))
    assert ours.train.images.dtype == np.uint8
    assert ours.classes == tuple(str(name) for name in theirs.target_names)


def test_they_take_no_options():
    with pytest.raises(UsageError):
        open_dataset("digits:8x8")
