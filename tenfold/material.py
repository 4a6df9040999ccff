"""Collects the contents of a report from a run and its data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tenfold import modelfile
from tenfold.data.dataset import Dataset
from tenfold.decisions.temperature import as_predicted
from tenfold.evaluation.misclassified import Explained, most_confident, named
from tenfold.evaluation.predictions import read_predictions
from tenfold.report.material import Material, Predicted
from tenfold.run import Run, State

EXPLAINED_ERRORS = 24  # in the report


def gather(run: Run, dataset: Dataset, explain: bool = True) -> Material:
    """The contents of the report; dataset: prepared as for the training. Raises RunError for a damaged file.

    explain: also explain errors, which takes longest.
    """
    splits = {name: predicted(run, dataset, name) for name in ("validation", "test")}
    unscored = not run.has("metrics.json") and run.status().state is not State.FINISHED
    metrics = {} if unscored else run.metrics()
    return Material(
        history=run.history(), classes=dataset.classes, metrics=metrics,
        samples=(dataset.train.images, dataset.train.labels), validation=splits["validation"],
        test=splits["test"], best_epoch=modelfile.facts(run.path / "model.keras")["epoch"],
        explained=_explained_errors(run, dataset, splits) if explain else (),
        calibration=run.calibration() if run.has("calibration.json") else {},
        decisions=_decisions(run),
        corruptions=run.corruptions() if run.has("corruptions.json") else {},
        inspection=run.read_json("inspection.json") if run.has("inspection.json") else {},
        learning_curve=run.learning_curve() if run.has("learning_curve.json") else {},
        ensemble=run.ensemble() if run.has("ensemble.json") else {},
        distillation=run.distillation() if run.has("distillation.json") else {})


def predicted(run: Run, dataset: Dataset, name: str) -> Predicted | None:
    """(images, labels, probabilities float [n, k]) of a split; None if the run or the data set lacks it."""
    split = dataset.splits().get(name)
    if split is None or not run.has(f"predictions/{name}.parquet"):
        return None
    return split.images, split.labels, read_predictions(run, name)[1]


def calibrated(run: Run, probabilities: np.ndarray) -> np.ndarray:
    """The probabilities [n, k] of a run's predictions as `tenfold predict` gives them, with its rules."""
    return as_predicted(probabilities, _decisions(run))


def _decisions(run: Run) -> Mapping[str, Any]:
    return run.decisions() if run.has("decisions.json") else {}


def _explained_errors(run: Run, dataset: Dataset, splits: Mapping[str, Predicted | None]) -> list[Explained]:
    """The most confident errors on test, otherwise on validation, with Grad-CAM."""
    split = "test" if splits["test"] else "validation"
    evaluated = splits[split]
    if evaluated is None:
        return []
    from tenfold.evaluation.explain import explain

    images, labels, probabilities = evaluated
    surest = most_confident(labels, calibrated(run, probabilities), EXPLAINED_ERRORS)
    errors = named(surest, dataset.splits()[split].names)
    chosen = np.array([error.index for error in errors], np.int64)
    return explain(modelfile.shared(run.path / "model.keras"), images[chosen], errors, labels[chosen]) if errors else []
