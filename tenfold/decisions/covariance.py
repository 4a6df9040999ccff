"""A covariance that is well conditioned for few images, computed without importing scikit-learn, which takes long."""

from __future__ import annotations

import numpy as np


def shrunk(centred: np.ndarray) -> np.ndarray:
    """The covariance of centred rows float [n, d], shrunk towards equal variances (Ledoit & Wolf 2004): float64 [d, d].
    """
    rows = centred.astype(np.float64)
    n, d = rows.shape
    covariance, squares = rows.T @ rows / n, rows**2
    mean = np.trace(covariance) / d
    spread = ((covariance - mean * np.eye(d)) ** 2).sum()
    error = min(((squares.T @ squares).sum() / n - (covariance**2).sum()) / n, spread)
    shrinkage = error / spread if spread else 0.0
    return np.asarray((1 - shrinkage) * covariance + shrinkage * mean * np.eye(d))
