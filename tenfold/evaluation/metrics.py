"""Metrics of class probabilities: what scikit-learn's functions of those names mean, without an engine.

A metric takes labels int64 [n] and probabilities float [n, k] and gives a float, NaN where it is not
defined. Averages over classes ("macro") run over the classes that have images in the split: a class
without any can't be recalled, and a zero for it would be a number about nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.registry import METRICS

Function = Callable[[np.ndarray, np.ndarray], float]

Z95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


@dataclass(frozen=True)
class Metric:
    """A metric by name: its function, its direction, and how it is written."""

    name: str
    function: Function
    higher_is_better: bool
    title: str
    percent: bool = True

    def __call__(self, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """The value for labels int64 [n] and probabilities float [n, k]; NaN where undefined."""
        return self.function(labels, probabilities)

    def text(self, entry: Mapping[str, float | None] | None) -> str:
        """An entry {"value", "low", "high"} as "81.3 % [78.8, 83.6]" or "0.5731"; a dash where undefined."""
        value, low, high = ((entry or {}).get(key) for key in ("value", "low", "high"))
        if value is None:
            return "–"
        scale, digits, unit = (100, 1, " %") if self.percent else (1, 4, "")
        text = f"{scale * value:.{digits}f}{unit}"
        if low is None or high is None:
            return text
        return f"{text} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def metric(name: str) -> Metric:
    """The registered metric of that name. Raises UnknownNameError, with the nearest name."""
    found = METRICS.get(name)
    assert isinstance(found, Metric)
    return found


def _add(
    name: str, title: str, higher_is_better: bool = True, percent: bool = True
) -> Callable[[Function], Function]:
    """Decorator: register a function as a metric."""

    def register(function: Function) -> Function:
        METRICS.add(name)(Metric(name, function, higher_is_better, title, percent))
        return function

    return register


# ----------------------------------------------------------------------------------------------------
# the metrics


@_add("loss", "Loss (cross-entropy)", higher_is_better=False, percent=False)
def loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean cross-entropy in nats, probabilities clipped to the resolution of their dtype."""
    smallest = np.finfo(probabilities.dtype).eps
    given = np.clip(probabilities[np.arange(len(labels)), labels], smallest, 1 - smallest)
    return _mean(-np.log(given.astype(np.float64)))


@_add("accuracy", "Accuracy")
def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of images whose most probable class is the true one."""
    return _mean(probabilities.argmax(axis=1) == labels)


@_add("precision_macro", "Precision (macro)")
def precision_macro(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over the classes of: share of the images given the class that are of it; 0 if none is given it."""
    matrix = confusion_matrix(labels, probabilities)
    return _macro(np.nan_to_num(_precision(matrix)), matrix)


@_add("recall_macro", "Recall (macro)")
def recall_macro(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over the classes of: share of the images of the class that are given it."""
    matrix = confusion_matrix(labels, probabilities)
    return _macro(_recall(matrix), matrix)


@_add("f1_macro", "F1 (macro)")
def f1_macro(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over the classes of the harmonic mean of precision and recall."""
    matrix = confusion_matrix(labels, probabilities)
    return _macro(_f1(matrix), matrix)


@_add("roc_auc", "ROC-AUC (macro, one-vs-rest)", percent=False)
def roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over the classes of the area under the ROC curve, each class against all others.

    With two classes it is the area of the second class, as in scikit-learn. Undefined where all images
    are of one class.
    """
    present = np.unique(labels)
    if len(present) < 2:
        return math.nan
    scored = present if probabilities.shape[1] > 2 else [1]
    return float(np.mean([_area(labels == c, probabilities[:, c]) for c in scored]))


# ----------------------------------------------------------------------------------------------------
# everything about one split


def score(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """All metrics of one split as plain JSON values, None where undefined.

    labels: int64 [n]; probabilities: float [n, k]; classes: the k names. Gives each metric as
    {"value", "low", "high"} (low and high: the Wilson 95 % interval for accuracy, else None),
    "per_class" (precision, recall, f1, support, roc_auc by name), "confusion_matrix" (rows: true class),
    "count", and "notes": sentences on whatever is undefined and why. Raises ValueError if the shapes
    don't fit together.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if probabilities.shape != (len(labels), len(classes)):
        raise ValueError(f"probabilities are {list(probabilities.shape)}; "
                         f"expected [{len(labels)}, {len(classes)}] (labels, classes)")
    finite = np.isfinite(probabilities).all(axis=1)
    defined = len(labels) > 0 and bool(finite.all())
    values = {name: metric(name)(labels, probabilities) if defined else math.nan for name in METRICS.names()}
    result: dict[str, Any] = {
        name: {"value": _plain(value), "low": None, "high": None} for name, value in values.items()}
    if defined:
        low, high = wilson(values["accuracy"], len(labels))
        result["accuracy"] |= {"low": low, "high": high}
    matrix = confusion_matrix(labels[finite], probabilities[finite])
    result["per_class"] = _per_class(labels[finite], probabilities[finite], classes)
    result["confusion_matrix"] = matrix.tolist()
    result["count"] = len(labels)
    result["notes"] = _notes(labels, matrix, int((~finite).sum()), classes)
    return result


def confusion_matrix(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Counts int64 [k, k]: rows are true classes, columns the most probable ones."""
    k = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    return np.bincount(labels * k + predicted, minlength=k * k).reshape(k, k)


def wilson(share: float, count: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927): `share` of `count` trials, 95 % by default."""
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z * z / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def _per_class(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1, support and ROC-AUC by class; all but support are None for an absent class."""
    matrix = confusion_matrix(labels, probabilities)
    columns = {"precision": _precision(matrix), "recall": _recall(matrix), "f1": _f1(matrix)}
    support = matrix.sum(axis=1)
    table = {}
    for c, name in enumerate(classes):
        present = support[c] > 0
        row: dict[str, Any] = {key: _plain(values[c]) if present else None for key, values in columns.items()}
        row["support"] = int(support[c])
        row["roc_auc"] = _plain(_area(labels == c, probabilities[:, c]))
        table[name] = row
    return table


def _notes(labels: np.ndarray, matrix: np.ndarray, lost: int, classes: Sequence[str]) -> list[str]:
    """A sentence for each thing that is undefined, naming it."""
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


def _listed(classes: Sequence[str], chosen: np.ndarray, most: int = 10) -> str:
    names = [classes[c] for c in np.flatnonzero(chosen).tolist()]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


# ----------------------------------------------------------------------------------------------------
# parts; a class for which a quotient is 0/0 has NaN


def _precision(matrix: np.ndarray) -> np.ndarray:
    return _quotient(np.diag(matrix), matrix.sum(axis=0))


def _recall(matrix: np.ndarray) -> np.ndarray:
    return _quotient(np.diag(matrix), matrix.sum(axis=1))


def _f1(matrix: np.ndarray) -> np.ndarray:
    return _quotient(2 * np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1))


def _quotient(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    return np.divide(over, under, out=np.full(len(under), np.nan), where=under > 0)


def _macro(values: np.ndarray, matrix: np.ndarray) -> float:
    return _mean(values[matrix.sum(axis=1) > 0])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _area(positive: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve by rank sum (Hanley & McNeil 1982), ties counted half; NaN if one-sided."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return math.nan
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
