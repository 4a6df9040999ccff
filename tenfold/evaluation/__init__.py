"""Evaluation: the predictions and the metrics of a finished run, written into the run."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.errors import UsageError
from tenfold.evaluation import metrics
from tenfold.run import Run

EVALUATED = ("validation", "test")


def score_run(run: Run, dataset: Dataset, splits: tuple[str, ...] = EVALUATED, csv: bool = False) -> dict[str, Any]:
    """Predict the splits of a prepared data set with the run's `model.keras`, in float32, and score them.

    Writes `predictions/<split>.parquet` (and `.csv`) and `metrics.json`; returns the metrics:
    split → metric → {"value", "low", "high"}. A split that the data set lacks is left out. Where the recipe
    asks for test-time augmentation, each split is scored twice: as "test", which is what `model.keras`
    says, and as "test_tta".
    Raises UsageError if the data set has other classes or another image shape than the run.
    """
    if dataset.classes != run.classes():
        raise UsageError(f"the data set's classes are {', '.join(dataset.classes)}; "
                         f"{run.path} was trained on {', '.join(run.classes())}")
    shape = tuple(run.environment()["dataset"]["shape"])
    if dataset.shape != shape:
        raise UsageError(f"the data set's images are {dataset.shape}; {run.path} was trained on {shape}")
    from tenfold.evaluation.views import with_views
    from tenfold.prediction import Classifier, probabilities  # the engine, which comparing runs does not need

    model, section = Classifier(run), run.recipe().evaluate
    models = {"": model}
    if section.tta != "none":
        models["_tta"] = with_views(model, section.tta, section.tta_below)
    result = run.metrics() if run.has("metrics.json") else {}
    for name in splits:
        split = dataset.splits().get(name)
        if split is None:
            continue
        for suffix, classify in models.items():
            p = probabilities(classify, split.images, section.batch_size)
            write_predictions(run, name + suffix, split.labels, p, dataset.classes, csv)
            result[name + suffix] = metrics.score(split.labels, p, dataset.classes)
            result[name + suffix]["scored"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    run.write_json("metrics.json", result)
    return result


def write_predictions(run: Run, split: str, labels: np.ndarray, probabilities: np.ndarray,
                      classes: tuple[str, ...], csv: bool = False) -> None:
    """Write labels int64 [n] and probabilities [n, k] of one split: index, label, `p_<class>`…"""
    import pyarrow
    from pyarrow import csv as pyarrow_csv
    from pyarrow import parquet

    columns = {"index": np.arange(len(labels)), "label": np.asarray(classes, object)[labels]}
    columns |= {f"p_{name}": probabilities[:, i] for i, name in enumerate(classes)}
    table = pyarrow.table(columns)
    run.write(f"predictions/{split}.parquet", lambda path: parquet.write_table(table, path))
    if csv:
        run.write(f"predictions/{split}.csv", lambda path: pyarrow_csv.write_csv(table, path))
