"""Which class is taken for which: the confusion matrix, int64 [k, k], rows true, and the pairs in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.evaluation.weighted import Judged


def confusion_matrix(judged: Judged) -> np.ndarray:
    """Counts int64 [k, k]: rows are true classes, columns the most probable ones."""
    k = judged.classes
    return np.bincount(judged.labels * k + judged.predicted, minlength=k * k).reshape(k, k)


def confusion_of(metrics: Mapping[str, Any]) -> tuple[str, np.ndarray] | None:
    """(split, counts int64 [k, k]) of the metrics of a run: of the test split, else of validation, else None."""
    for split in ("test", "validation"):
        matrix = metrics.get(split, {}).get("confusion_matrix")
        if matrix:
            return split, np.array(matrix, np.int64)
    return None


def by_true_class(counts: np.ndarray) -> np.ndarray:
    """Rows as fractions of their sum, float [k, k]; NaN in the row of a class without images."""
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)


@dataclass(frozen=True)
class Pair:
    """Images of the class `true` taken for `predicted`: how many, and as a fraction of all images of `true`."""

    true: int
    predicted: int
    count: int
    fraction: float


def confused_pairs(matrix: np.ndarray) -> list[Pair]:
    """Pairs of classes that are confused, by falling count, then fraction; `matrix` int64 [k, k], rows true."""
    fractions = by_true_class(matrix)
    pairs = [Pair(i, j, int(matrix[i, j]), float(fractions[i, j])) for i, j in np.argwhere(matrix).tolist() if i != j]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.fraction, pair.true, pair.predicted))
