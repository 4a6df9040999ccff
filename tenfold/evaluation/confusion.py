"""The confusion matrix, int64 [k, k] with true classes as rows, and the pairs of confused classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.evaluation.weighted import Predictions


def confusion_matrix(predictions: Predictions) -> np.ndarray:
    """Numbers of images, int64 [k, k]: rows are true classes, columns are predicted classes."""
    k = predictions.classes
    return np.bincount(predictions.labels * k + predictions.predicted, minlength=k * k).reshape(k, k)


def confusion_of(metrics: Mapping[str, Any]) -> tuple[str, np.ndarray] | None:
    """(split, counts int64 [k, k]) from a run's metrics: of test, otherwise of validation, otherwise None."""
    for split in ("test", "validation"):
        matrix = metrics.get(split, {}).get("confusion_matrix")
        if matrix:
            return split, np.array(matrix, np.int64)
    return None


def by_true_class(counts: np.ndarray) -> np.ndarray:
    """Each row divided by its sum, float [k, k]; NaN in the row of a class without images."""
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)


@dataclass(frozen=True)
class Pair:
    """Images of class `true` predicted as `predicted`: their number, and their fraction of all images of `true`."""

    true: int
    predicted: int
    count: int
    fraction: float


def confused_pairs(matrix: np.ndarray) -> list[Pair]:
    """Pairs of confused classes, by decreasing count, then fraction; matrix: int64 [k, k], rows are true classes."""
    fractions = by_true_class(matrix)
    pairs = [Pair(i, j, int(matrix[i, j]), float(fractions[i, j])) for i, j in np.argwhere(matrix).tolist() if i != j]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.fraction, pair.true, pair.predicted))
