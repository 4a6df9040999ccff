"""Metrics of class probabilities, defined as in scikit-learn. Needs no engine.

A metric is a function of `Weighted` images. It returns one value for each set of weights, NaN where undefined.
Averages over classes ("macro") include only the classes with images in the split: a class without images has no
recall, and counting it as 0 would be wrong.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tenfold.evaluation.statistics import (
    Fraction,
    OverSeeds,
    deflated,
    in_equal_classes,
    percentile_interval,
    stretched,
    unseen_variance,
)
from tenfold.evaluation.weighted import Predictions, Weighted, quotient
from tenfold.registry import METRICS

Function = Callable[[Weighted], np.ndarray]

BINS = 15  # for the expected calibration error, as in Guo et al. 2017


@dataclass(frozen=True)
class Metric:
    """A named metric: its function, its direction and its format.

    needs: the condition under which the metric is defined; classes: the fewest for which it is; proportion: it is a
    fraction of all images, so its interval is Wilson's; like_fraction: it behaves like one, so its interval is made
    like Wilson's, not of percentiles; by_class: it is a mean over the classes, so that small classes make it less
    precise; ranked: it is of the order of probabilities, not of predicted classes; inflated: noise can only increase
    it, as in a sum of absolute values, and resampling increases it once more; least and most: its bounds.
    """

    name: str
    function: Function
    title: str
    short: str
    higher_is_better: bool = True
    percent: bool = True
    needs: str = "finite probabilities of at least one image"
    classes: int = 2
    proportion: bool = False
    like_fraction: bool = True
    by_class: bool = False
    ranked: bool = False
    inflated: bool = False
    least: float = 0.0
    most: float = 1.0

    def as_fraction(self, value: float, runs: Sequence[Predictions]) -> Fraction | None:
        """The value as a fraction of images, for its intervals; None if the metric is not like one.

        runs: the predictions from which it comes, of one run, or of several runs for the same images.
        """
        if not self.like_fraction or not math.isfinite(self.most - self.least):
            return None
        count, counts = len(runs[0].labels), np.bincount(runs[0].labels, minlength=runs[0].classes)
        wrong = np.mean([each.wrong for each in runs], axis=0)
        images = in_equal_classes(counts) if self.by_class else count
        unseen = unseen_variance(counts, wrong) if self.by_class and not self.ranked else 0.0
        errors = float(wrong.sum())
        return Fraction(value, images, min(errors, count - errors), unseen, self.least, self.most)

    def stretched(self, values: np.ndarray, value: float, images: int) -> np.ndarray:
        """The values on resamples [r] as intervals need them: see `stretched`; those of a fraction stay as they are."""
        return values if self.like_fraction else stretched(values, value, images)

    def over_seeds(self, values: np.ndarray, observed: np.ndarray, runs: Sequence[Predictions]) -> OverSeeds:
        """The metric of runs for the same images. values: float64 [runs, r], on resamples; observed: float64 [runs]."""
        mean = float(observed.mean())
        found = OverSeeds.of(values, observed, self.as_fraction(mean, runs))
        return replace(found, mean=self.stretched(found.mean, mean, len(runs[0].labels)))

    def interval(self, value: float, spread: np.ndarray, predictions: Predictions) -> tuple[float, float] | None:
        """The 95 % interval of the value, from its values on resamples, float64 [r]; None if too few are defined."""
        if fraction := self.as_fraction(value, [predictions]):
            spread = fraction.scored(spread)
        else:
            spread = self.stretched(deflated(spread, value) if self.inflated else spread, value,
                                    len(predictions.labels))
        return self.within(percentile_interval(spread))

    def within(self, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        """The interval, cut to the bounds of the metric."""
        return interval and (max(interval[0], self.least), min(interval[1], self.most))

    def difference_within(self, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        """The interval of a difference of two values, cut to the possible differences."""
        widest = self.most - self.least
        return interval and (max(interval[0], -widest), min(interval[1], widest))

    def __call__(self, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """The value for labels, int64 [n], and probabilities, float [n, k]; NaN if undefined."""
        return float(self.function(Weighted.evenly(Predictions(labels, probabilities)))[0])

    def text(self, entry: Mapping[str, Any] | None) -> str:
        """An entry {"value", "low", "high"} as "81.3 % [78.8, 83.6]" or "0.5731"; a dash if undefined."""
        return " ".join(filter(None, (self.value_text(entry), self.interval_text(entry))))

    def value_text(self, entry: Mapping[str, Any] | None) -> str:
        """The value of an entry as "81.3 %" or "0.5731"; a dash if undefined."""
        value = (entry or {}).get("value")
        return "–" if value is None else f"{self.number(value)}{' %' if self.percent else ''}"

    def interval_text(self, entry: Mapping[str, Any] | None, sign: str = "") -> str:
        """The interval of an entry as "[78.8, 83.6]"; empty if unknown."""
        value, low, high = ((entry or {}).get(key) for key in ("value", "low", "high"))
        if value is None or low is None or high is None:
            return ""
        return f"[{self.number(low, sign)}, {self.number(high, sign)}]"

    def number(self, value: float, sign: str = "") -> str:
        """A value as "81.3" (percent) or "0.5731"; sign: "+" also writes the sign of positive numbers."""
        return f"{100 * value:{sign}.1f}" if self.percent else f"{value:{sign}.4f}"


def metric(name: str) -> Metric:
    """The registered metric of this name. Raises UnknownNameError, which suggests the nearest name."""
    found = METRICS.get(name)
    assert isinstance(found, Metric)
    return found


def _add(name: str, title: str, short: str, **more: Any) -> Callable[[Function], Function]:
    """Decorator: register a function as a metric."""

    def register(function: Function) -> Function:
        METRICS.add(name, function.__module__)(Metric(name, function, title, short, **more))
        return function

    return register


# ----------------------------------------------------------------------------------------------------
# means over images


@_add("loss", "Loss (cross-entropy)", "loss", higher_is_better=False, percent=False, like_fraction=False, most=math.inf)
def loss(x: Weighted) -> np.ndarray:
    """Mean cross-entropy in nats; probabilities are clipped by the machine epsilon of their dtype."""
    smallest = np.finfo(x.predictions.probabilities.dtype).eps
    return x.mean(-np.log(np.clip(x.predictions.true_probability, smallest, 1 - smallest).astype(np.float64)))


@_add("accuracy", "Accuracy", "accuracy", proportion=True)
def accuracy(x: Weighted) -> np.ndarray:
    """Fraction of images whose most probable class is the true class."""
    return x.mean(x.predictions.correct)


@_add("top_3_accuracy", "Top-3 accuracy", "top-3", proportion=True, needs="more than 3 classes", classes=4)
def top_3_accuracy(x: Weighted) -> np.ndarray:
    """Fraction of images whose true class is among the 3 most probable; undefined if it is always 1."""
    return _top_k_accuracy(x, 3)


@_add("top_5_accuracy", "Top-5 accuracy", "top-5", proportion=True, needs="more than 5 classes", classes=6)
def top_5_accuracy(x: Weighted) -> np.ndarray:
    """Fraction of images whose true class is among the 5 most probable; undefined if it is always 1."""
    return _top_k_accuracy(x, 5)


def _top_k_accuracy(x: Weighted, k: int) -> np.ndarray:
    if x.predictions.classes <= k:
        return np.full(x.weights.shape[1], np.nan)
    p, true = x.predictions.probabilities, x.predictions.true_probability[:, None]
    # Ties go to the first class, as in argmax.
    earlier = np.arange(x.predictions.classes) < x.predictions.labels[:, None]
    return x.mean(((p > true) | ((p == true) & earlier)).sum(axis=1) < k)


# ----------------------------------------------------------------------------------------------------
# predicted classes


def precision_by_class(x: Weighted) -> np.ndarray:
    """Fraction of the images predicted as a class that belong to it: [k, b]."""
    return quotient(x.right, x.predicted)


def recall_by_class(x: Weighted) -> np.ndarray:
    """Fraction of the images of a class that are predicted as it: [k, b]."""
    return quotient(x.right, x.true)


def f1_by_class(x: Weighted) -> np.ndarray:
    """Harmonic mean of precision and recall: [k, b]."""
    return quotient(2 * x.right, x.predicted + x.true)


@_add("precision_macro", "Precision (macro)", "precision", by_class=True)
def precision_macro(x: Weighted) -> np.ndarray:
    """Mean precision over the classes; a class that is never predicted counts as 0."""
    return _macro(np.nan_to_num(precision_by_class(x)), x)


@_add("recall_macro", "Recall (macro)", "recall", by_class=True)
def recall_macro(x: Weighted) -> np.ndarray:
    """Mean recall over the classes."""
    return _macro(recall_by_class(x), x)


@_add("f1_macro", "F1 (macro)", "F1", by_class=True)
def f1_macro(x: Weighted) -> np.ndarray:
    """Mean F1 over the classes."""
    return _macro(f1_by_class(x), x)


@_add("cohen_kappa", "Cohen's kappa", "kappa", percent=False, least=-1.0,
      needs="more than one class in labels or predictions")
def cohen_kappa(x: Weighted) -> np.ndarray:
    """Agreement of labels and predictions beyond chance (Cohen 1960)."""
    by_chance = (x.true * x.predicted).sum(axis=0) / x.total
    return quotient(x.right.sum(axis=0) - by_chance, x.total - by_chance)


SEVERAL = "images of more than one class"


@_add("matthews", "Matthews correlation", "Matthews", percent=False, least=-1.0, needs=SEVERAL)
def matthews(x: Weighted) -> np.ndarray:
    """Correlation of labels and predictions (Gorodkin 2004 for many classes); 0 if only one class is predicted."""
    together = x.right.sum(axis=0) * x.total - (x.true * x.predicted).sum(axis=0)
    labels, predictions = (x.total**2 - (counts**2).sum(axis=0) for counts in (x.true, x.predicted))
    return np.where((predictions == 0) & (labels > 0), 0.0, quotient(together, np.sqrt(labels * predictions)))


# ----------------------------------------------------------------------------------------------------
# areas under curves


@_add("roc_auc", "ROC-AUC (macro, one-vs-rest)", "ROC-AUC", percent=False, by_class=True, ranked=True, needs=SEVERAL)
def roc_auc(x: Weighted) -> np.ndarray:
    """Mean over the classes of the area under the ROC curve, each class against all others.

    With two classes, the area of the second class, as in scikit-learn.
    """
    return _macro(x.areas, x) if x.predictions.classes > 2 else x.areas[1]


@_add("roc_auc_ovo", "ROC-AUC (macro, one-vs-one)", "AUC 1v1", percent=False, by_class=True, ranked=True, needs=SEVERAL)
def roc_auc_ovo(x: Weighted) -> np.ndarray:
    """Mean over the pairs of classes of the area under the ROC curve of one class against the other.

    Hand & Till (2001). With two classes, the same as `roc_auc`.
    """
    return _macro(x.balanced_areas, x) if x.predictions.classes > 2 else x.areas[1]


@_add("average_precision", "Average precision (macro)", "AP", by_class=True, ranked=True, needs=SEVERAL)
def average_precision(x: Weighted) -> np.ndarray:
    """Mean over the classes of the area under the precision-recall curve, a step function.

    With two classes, the area of the second class, as in scikit-learn.
    """
    values = _macro(x.precisions, x) if x.predictions.classes > 2 else x.precisions[1]
    several = (x.true > 0).sum(axis=0) > 1
    return np.where(several, values, np.nan)


# ----------------------------------------------------------------------------------------------------
# probabilities


@_add("brier", "Brier score", "Brier", higher_is_better=False, percent=False, like_fraction=False, most=2.0)
def brier(x: Weighted) -> np.ndarray:
    """Mean squared distance between probabilities and truth, 0 to 2; halved with two classes (Brier 1950)."""
    p = x.predictions.probabilities.astype(np.float64)
    truth = x.predictions.labels[:, None] == np.arange(x.predictions.classes)
    return x.mean(((p - truth) ** 2).sum(axis=1)) / (2 if x.predictions.classes == 2 else 1)


@_add("ece", "Expected calibration error", "ECE", higher_is_better=False, like_fraction=False, inflated=True)
def ece(x: Weighted) -> np.ndarray:
    """Mean distance between confidence and accuracy over 15 equally wide bins of confidence (Guo et al. 2017)."""
    confidence = x.predictions.probabilities.max(axis=1).astype(np.float64)
    gaps = x.sums(confidence_bins(confidence), BINS, x.predictions.correct - confidence)
    return quotient(np.abs(gaps).sum(axis=0), x.total)


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """The bin of each confidence, 0 to 14: int64 [n]. A bin includes its upper bound."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _macro(values: np.ndarray, x: Weighted) -> np.ndarray:
    """The mean over the classes with images: [k, b] → [b]."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.nanmean(np.where(x.true > 0, values, np.nan), axis=0)
