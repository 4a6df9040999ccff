"""What a report is drawn from, gathered from a run and its data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tenfold import modelfile
from tenfold.data.dataset import Dataset
from tenfold.evaluation.misclassified import Explained, most_confident
from tenfold.evaluation.predictions import read_predictions
from tenfold.run import Run

if TYPE_CHECKING:
    from tenfold.report import Material
    from tenfold.report.plots.plot import Predicted

EXPLAINED = 24  # errors that the report explains


def gather(run: Run, dataset: Dataset) -> Material:
    """All that a run has to show; `dataset` is prepared. Raises RunError for a file that is damaged."""
    from tenfold.report import Material

    splits = {name: predicted(run, dataset, name) for name in ("validation", "test")}
    return Material(
        history=run.history(), classes=dataset.classes, metrics=run.metrics(),
        samples=(dataset.train.images, dataset.train.labels), validation=splits["validation"],
        test=splits["test"], best_epoch=modelfile.facts(run.path / "model.keras")["epoch"],
        explained=_explained_errors(run, splits["test"] or splits["validation"]),
        calibration=run.calibration() if run.has("calibration.json") else {},
        corruptions=run.corruptions() if run.has("corruptions.json") else {})


def predicted(run: Run, dataset: Dataset, name: str) -> Predicted | None:
    """(images, labels, probabilities float [n, k]) of a split; None where the run or the data set lacks it."""
    split = dataset.splits().get(name)
    if split is None or not run.has(f"predictions/{name}.parquet"):
        return None
    return split.images, split.labels, read_predictions(run, name)[1]


def _explained_errors(run: Run, judged: Predicted | None) -> list[Explained]:
    """The most confident errors with their Grad-CAM."""
    if judged is None:
        return []
    from tenfold.evaluation.explain import explain

    images, labels, probabilities = judged
    errors = most_confident(labels, probabilities, EXPLAINED)
    chosen = np.array([error.index for error in errors], np.int64)
    return explain(run.model(), images[chosen], errors, labels[chosen]) if errors else []
