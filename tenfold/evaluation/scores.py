"""Everything about one split as plain values: each metric with its interval, by class, and what is undefined."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tenfold.evaluation import metrics, statistics
from tenfold.evaluation.confusion import confusion_matrix
from tenfold.evaluation.metrics import Metric, metric
from tenfold.evaluation.weighted import Judged, Weighted
from tenfold.progress import SILENT, Watcher
from tenfold.registry import METRICS

Entry = dict[str, Any]
LISTED = 10  # classes that a note names at most

BY_CLASS: dict[str, Callable[[Weighted], np.ndarray]] = {
    "precision": metrics.precision_by_class, "recall": metrics.recall_by_class, "f1": metrics.f1_by_class,
    "roc_auc": lambda x: x.areas, "average_precision": lambda x: x.precisions,
}


def score(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str],
          resamples: int | None = None, watcher: Watcher = SILENT) -> dict[str, Any]:
    """All metrics of one split as plain JSON values.

    labels: int64 [n]; probabilities: float [n, k]; classes: the k names. Gives each metric as
    {"value", "low", "high"}: low and high bound the 95 % interval (Wilson's for fractions of the images,
    else of `resamples` stratified bootstrap resamples, by default as many as are `enough`; None where there is
    none, as of a single image), and where the value is
    undefined it is None and "reason" says why. So too "per_class": name → precision, recall, f1, roc_auc,
    average_precision, and the number "support". Further "confusion_matrix" (rows: true class), "count",
    "resamples", and "notes": sentences that name what is undefined. Raises ValueError if the shapes don't fit together.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if probabilities.shape != (len(labels), len(classes)):
        raise ValueError(f"probabilities are {list(probabilities.shape)}; "
                         f"expected [{len(labels)}, {len(classes)}] (labels, classes)")
    finite = np.isfinite(probabilities).all(axis=1)
    judged = Judged(labels[finite], probabilities[finite])
    resamples = resamples or statistics.enough(len(labels), len(classes))
    names = METRICS.names()
    defined = len(labels) > 0 and bool(finite.all())
    measures = [metric(name).function for name in names] + list(BY_CLASS.values())
    values, resampled = _measure(judged, measures, resamples, watcher)
    result: dict[str, Any] = {}
    for name, value, spread in zip(names, values, resampled, strict=False):
        result[name] = _entry_of(metric(name), float(value) if defined else math.nan, spread, len(labels))
    result["per_class"] = _per_class(judged, values[len(names):], resampled[len(names):], classes)
    matrix = confusion_matrix(judged)
    result["confusion_matrix"] = matrix.tolist()
    result["count"], result["resamples"] = len(labels), resamples
    result["notes"] = _notes(labels, matrix, int((~finite).sum()), classes)
    return result


def entry(value: float, interval: statistics.Interval | None, reason: str) -> Entry:
    """{"value", "low", "high"}, plain; where the value is NaN they are None, and "reason" says why."""
    if not math.isfinite(value):
        return {"value": None, "low": None, "high": None, "reason": reason}
    low, high = interval or (None, None)
    return {"value": value, "low": low, "high": high}


def _measure(judged: Judged, measures: Sequence[Callable[[Weighted], np.ndarray]],
             resamples: int, watcher: Watcher) -> tuple[list[Any], list[np.ndarray]]:
    """Each measure's value (a number, or one for each class) and its values on the resamples."""
    if not len(judged.labels):
        k = judged.classes
        return [np.full(k, math.nan)] * len(measures), [np.full((k, resamples), math.nan)] * len(measures)
    once = Weighted.evenly(judged)
    return ([measure(once)[..., 0] for measure in measures],
            statistics.bootstrap(judged, measures, resamples, watcher=watcher))


def _entry_of(known: Metric, value: float, spread: np.ndarray, count: int) -> Entry:
    if not math.isfinite(value):
        return entry(value, None, f"it needs {known.needs}")
    if known.proportion:
        return entry(value, statistics.wilson(round(value * count), count), "")
    spread = statistics.deflated(spread, value) if known.inflated else spread
    return entry(value, statistics.percentile_interval(spread), "")


def _per_class(judged: Judged, values: Sequence[np.ndarray], resampled: Sequence[np.ndarray],
               classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    support = np.bincount(judged.labels, minlength=len(classes))
    given = np.bincount(judged.predicted, minlength=len(classes)) if len(judged.labels) else support
    counts = {"precision": given, "recall": support}  # of which these are fractions
    right = np.bincount(judged.labels[judged.correct], minlength=len(classes)) if len(judged.labels) else support
    table: dict[str, dict[str, Any]] = {}
    for c, name in enumerate(classes):
        row: dict[str, Any] = {}
        for key, value, spread in zip(BY_CLASS, values, resampled, strict=True):
            single = float(value[c]) if support[c] else math.nan
            by_count = key in counts and math.isfinite(single)
            interval = (statistics.wilson(int(right[c]), int(counts[key][c])) if by_count
                        else statistics.percentile_interval(spread[c]))
            row[key] = entry(single, interval, _why_undefined(key, bool(support[c])))
        row["support"] = int(support[c])
        table[name] = row
    return table


def _why_undefined(key: str, present: bool) -> str:
    if not present:
        return "the split has no images of this class"
    return "no image is given this class" if key == "precision" else "all images are of this class"


def _notes(labels: np.ndarray, matrix: np.ndarray, lost: int, classes: Sequence[str]) -> list[str]:
    """A sentence for each thing that is undefined for want of images, naming it."""
    if not len(labels):
        return ["The split has no images: every metric is undefined."]
    if lost:
        return [f"The probabilities of {lost:,} of {len(labels):,} images are not finite: every metric is "
                "undefined; the confusion matrix and the values by class leave these images out."]
    notes = []
    present, given = matrix.sum(axis=1) > 0, matrix.sum(axis=0) > 0
    if not present.all():
        notes.append(f"Without images in this split: {_listed(classes, ~present)}. "
                     "Their values are undefined and left out of the macro averages.")
    if (present & ~given).any():
        notes.append(f"Never predicted: {_listed(classes, present & ~given)}. "
                     "Their precision is undefined; it counts as 0 in the macro precision.")
    if present.sum() < 2:
        notes.append("All images are of one class: ROC-AUC is undefined.")
    return notes


def _listed(classes: Sequence[str], chosen: np.ndarray) -> str:
    names = [classes[c] for c in np.flatnonzero(chosen).tolist()]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
