"""The material of a report: all that its plots and its page are made from, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.evaluation.misclassified import Explained
from tenfold.report.explored import Explored

if TYPE_CHECKING:
    from tenfold.data.view import Images

Samples = tuple["Images", np.ndarray]  # images uint8 [n, h, w, c], labels int64 [n]
Predicted = tuple["Images", np.ndarray, np.ndarray]  # the same and probabilities float [n, k]


@dataclass(frozen=True)
class Material:
    """The data for plots; missing data are empty or None.

    history: one record per epoch, from `Run.history()`; classes: names in the order of the labels; metrics: as in
    `metrics.json`; samples: training images (uint8 [n, h, w, c], c 1 or 3) and labels (int64 [n]);
    validation, test: images, labels and probabilities (float [n, k]); best_epoch: the kept epoch (None: marks the
    first one with the highest validation accuracy); explained: errors of the evaluated split with explanations;
    calibration, decisions, corruptions, learning_curve, ensemble, distillation, inspection: as in the JSON files of
    these names; points: the models of a comparison, from `Leaderboard.pareto`; search: the content of `search.json`;
    runtimes: `Measured.to_dict` of each runtime that was measured; explored: a data set before any training.
    """

    history: Sequence[Mapping[str, float]] = ()
    classes: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    samples: Samples | None = None
    validation: Predicted | None = None
    test: Predicted | None = None
    best_epoch: int | None = None
    explained: Sequence[Explained] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)
    decisions: Mapping[str, Any] = field(default_factory=dict)
    corruptions: Mapping[str, Any] = field(default_factory=dict)
    learning_curve: Mapping[str, Any] = field(default_factory=dict)
    ensemble: Mapping[str, Any] = field(default_factory=dict)
    distillation: Mapping[str, Any] = field(default_factory=dict)
    points: Sequence[Mapping[str, Any]] = ()
    search: Mapping[str, Any] = field(default_factory=dict)
    inspection: Mapping[str, Any] = field(default_factory=dict)
    runtimes: Sequence[Mapping[str, Any]] = ()
    explored: Explored | None = None


def evaluated(material: Material) -> tuple[str, Predicted] | None:
    """(split, its images, labels and probabilities): test, otherwise validation, otherwise None."""
    for split, predicted in (("test", material.test), ("validation", material.validation)):
        if predicted is not None and len(predicted[1]):
            return split, predicted
    return None
