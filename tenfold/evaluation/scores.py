"""The scores of one split as plain values: each metric with its interval, also per class, and the undefined ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tenfold.counted import counted
from tenfold.evaluation import metrics, statistics
from tenfold.evaluation.confusion import confusion_matrix
from tenfold.evaluation.metrics import Metric, metric
from tenfold.evaluation.weighted import Predictions, Weighted
from tenfold.progress import SILENT, Watcher
from tenfold.registry import METRICS

Entry = dict[str, Any]
LISTED = 10  # classes that a note names at most

Measure = Callable[[Weighted], np.ndarray]

BY_CLASS: dict[str, Measure] = {
    "precision": metrics.precision_by_class, "recall": metrics.recall_by_class, "f1": metrics.f1_by_class,
    "roc_auc": lambda x: x.areas, "average_precision": lambda x: x.precisions,
}
FRACTIONS = {"precision", "recall"}  # of images, with Wilson's interval


def score(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str],
          resamples: int | None = None, watcher: Watcher = SILENT) -> dict[str, Any]:
    """All metrics of one split as plain JSON values.

    labels: int64 [n]; probabilities: float [n, k]; classes: the k names. Returns each metric as
    {"value", "low", "high"}, where low and high bound the 95 % interval: Wilson's for fractions of the images,
    the like for means of fractions (see `Fraction`), with the variance of `resamples` stratified bootstrap resamples
    (default: see `enough`), percentiles of these for other metrics. They are None without an
    interval, for example for a single image. An undefined value is None, and "reason" says why.
    "per_class" holds the same per class name: precision, recall, f1, roc_auc, average_precision, and the number
    "support". Also returns "confusion_matrix" (rows: true class), "count", "resamples", and "notes": sentences
    that name undefined values. Raises ValueError if the shapes do not match.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if probabilities.shape != (len(labels), len(classes)):
        raise ValueError(f"probabilities have the shape {list(probabilities.shape)}; "
                         f"expected [{len(labels)}, {len(classes)}] (images, classes)")
    finite = np.isfinite(probabilities).all(axis=1)
    predictions = Predictions(labels[finite], probabilities[finite])
    resamples = resamples or statistics.enough(len(labels), len(classes))
    known = [metric(name) for name in METRICS.names()]
    defined = len(labels) > 0 and bool(finite.all())
    measures = [(each.function, not each.proportion) for each in known]
    measures += [(function, name not in FRACTIONS) for name, function in BY_CLASS.items()]
    values, resampled = _measure(predictions, measures, resamples, watcher)
    result: dict[str, Any] = {}
    for each, value, spread in zip(known, values[:len(known)], resampled[:len(known)], strict=True):
        result[each.name] = _entry_of(each, float(value) if defined else math.nan, spread, predictions)
    result["per_class"] = _per_class(predictions, values[len(known):], resampled[len(known):], classes)
    matrix = confusion_matrix(predictions)
    result["confusion_matrix"] = matrix.tolist()
    result["count"], result["resamples"] = len(labels), resamples
    result["notes"] = _notes(labels, matrix, int((~finite).sum()), classes)
    return result


def entries(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str],
            resamples: int | None = None, watcher: Watcher = SILENT) -> dict[str, Entry]:
    """Some metrics of one split, as `score` gives them; finite probabilities float [n, k] of labels int64 [n], n > 0.
    """
    known = [metric(name) for name in names]
    predictions = Predictions(labels, probabilities)
    values, resampled = _measure(predictions, [(each.function, not each.proportion) for each in known],
                                 resamples or statistics.enough(*probabilities.shape), watcher)
    return {each.name: _entry_of(each, float(value), spread, predictions)
            for each, value, spread in zip(known, values, resampled, strict=True)}


def entry(value: float, interval: statistics.Interval | None, reason: str) -> Entry:
    """{"value", "low", "high"} as plain values; all None if the value is NaN or infinite, with the "reason"."""
    if not math.isfinite(value):
        return {"value": None, "low": None, "high": None, "reason": reason}
    low, high = interval or (None, None)
    return {"value": value, "low": low, "high": high}


def _measure(predictions: Predictions, measures: Sequence[tuple[Measure, bool]], resamples: int,
             watcher: Watcher) -> tuple[list[Any], list[np.ndarray | None]]:
    """The value of each measure (a number, or one per class), and its values on the resamples, if it needs them.

    measures: each function, and whether its values on the resamples are needed.
    """
    if not len(predictions.labels):
        k = predictions.classes
        return [np.full(k, math.nan)] * len(measures), [np.full((k, resamples), math.nan)] * len(measures)
    once = Weighted.evenly(predictions)
    spreads = iter(statistics.bootstrap(predictions, [measure for measure, needed in measures if needed], resamples,
                                        watcher=watcher))
    return ([measure(once)[..., 0] for measure, _ in measures],
            [next(spreads) if needed else None for _, needed in measures])


def _entry_of(known: Metric, value: float, spread: np.ndarray | None, predictions: Predictions) -> Entry:
    if not math.isfinite(value):
        return entry(value, None, f"it needs {known.needs}")
    if spread is None:
        count = len(predictions.labels)
        return entry(value, statistics.wilson(round(value * count), count), "")
    found = entry(value, known.interval(value, spread, predictions), "")
    if found["low"] is None:
        found["reason"] = "an interval needs more images, or more of a class"
    return found


def _per_class(predictions: Predictions, values: Sequence[np.ndarray], resampled: Sequence[np.ndarray | None],
               classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    labels, k = predictions.labels, len(classes)
    support = np.bincount(labels, minlength=k)
    predicted = np.bincount(predictions.predicted, minlength=k) if len(labels) else support
    counts = {"precision": predicted, "recall": support}  # the denominators
    right = np.bincount(labels[predictions.correct], minlength=k) if len(labels) else support
    table: dict[str, dict[str, Any]] = {}
    for c, name in enumerate(classes):
        row: dict[str, Any] = {}
        for key, value, spread in zip(BY_CLASS, values, resampled, strict=True):
            single = float(value[c]) if support[c] else math.nan
            interval = None
            if spread is not None:
                images = statistics.in_equal_classes(np.array([support[c], len(labels) - support[c]])) \
                    if key == "roc_auc" else float(support[c])
                wrong = int(support[c] + predicted[c] - 2 * right[c])
                interval = statistics.Fraction(single, images, min(wrong, int(right[c]))).interval(spread[c])
            elif math.isfinite(single):
                interval = statistics.wilson(int(right[c]), int(counts[key][c]))
            row[key] = entry(single, interval, _why_undefined(key, bool(support[c])))
        row["support"] = int(support[c])
        table[name] = row
    return table


def _why_undefined(key: str, present: bool) -> str:
    if not present:
        return "the split has no images of this class"
    return "no image is predicted as this class" if key == "precision" else "all images are of this class"


def _notes(labels: np.ndarray, matrix: np.ndarray, lost: int, classes: Sequence[str]) -> list[str]:
    """Sentences that name the classes and metrics that lack images, and the consequence."""
    if not len(labels):
        return ["The split has no images: every metric is undefined."]
    if lost:
        return [f"The probabilities of {lost:,} of {counted(len(labels), 'image')} are NaN or infinite: every metric "
                "is undefined. The confusion matrix and the values by class leave out these images."]
    notes = []
    present, predicted = matrix.sum(axis=1) > 0, matrix.sum(axis=0) > 0
    if not present.all():
        notes.append(f"No images of {_listed(classes, ~present)} in this split. "
                     "Their values are undefined, and macro averages leave them out.")
    if (present & ~predicted).any():
        notes.append(f"Never predicted: {_listed(classes, present & ~predicted)}. "
                     "Their precision is undefined; it counts as 0 in the macro precision.")
    if present.sum() < 2:
        notes.append("All images are of one class: ROC-AUC is undefined.")
    return notes


def _listed(classes: Sequence[str], chosen: np.ndarray) -> str:
    names = [classes[c] for c in np.flatnonzero(chosen).tolist()]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
