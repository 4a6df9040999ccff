"""The shrunk covariance is that of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from tenfold.decisions.covariance import shrunk


@pytest.mark.parametrize("images", [3, 40, 2000])
def test_it_is_that_of_scikit_learn(images: int) -> None:
    rows = np.random.default_rng(images).normal(size=(images, 8)) @ np.diag(np.arange(1, 9)) + 0.3
    np.testing.assert_allclose(shrunk(rows), ledoit_wolf(rows, assume_centered=True)[0], rtol=1e-10)


def test_rows_that_are_all_alike_have_none() -> None:
    np.testing.assert_array_equal(shrunk(np.zeros((5, 3), np.float32)), np.zeros((3, 3)))
