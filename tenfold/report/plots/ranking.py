"""ROC and precision-recall curves: how well probabilities separate each class from all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.counted import counted
from tenfold.report.material import evaluated
from tenfold.report.plots.plot import RANKING, Material, plot
from tenfold.report.plots.style import GREY, INK, shorten

SIZE = 4.4, 6.0  # inches of the plots that stand side by side: their text is equally large
NAMED = 10  # curves with a colour and a name: those with the smallest areas


@dataclass(frozen=True)
class RankCurve:
    """The curve of one class against all others, x and y float [points] each, and the area under it."""

    label: int
    x: np.ndarray
    y: np.ndarray
    area: float


def roc_curves(labels: np.ndarray, probabilities: np.ndarray) -> list[RankCurve]:
    """True positive rate (y) over false positive rate (x) of each class, as from scikit-learn's `roc_curve`.

    A class has no curve if no images or all images belong to it. With two classes, only the second has a curve.
    """
    found = []
    for label in _scored(labels, probabilities):
        hits, others = _above_thresholds(labels == label, probabilities[:, label])
        bend = (np.diff(hits, 2) != 0) | (np.diff(others, 2) != 0)  # the rest are on straight lines
        x, y = (np.append(0.0, _ends_and(counts, bend) / counts[-1]) for counts in (others, hits))
        found.append(RankCurve(label, x, y, float(np.trapezoid(y, x))))
    return found


def precision_recall_curves(labels: np.ndarray, probabilities: np.ndarray) -> list[RankCurve]:
    """Precision (y) over recall (x) of each class, as from scikit-learn's `precision_recall_curve`.

    The area is the average precision, the sum of the precisions weighted with the growth of the recall.
    """
    found = []
    for label in _scored(labels, probabilities):
        hits, others = _above_thresholds(labels == label, probabilities[:, label])
        precision, recall = hits / (hits + others), hits / hits[-1]
        area = float((np.diff(recall, prepend=0) * precision).sum())
        bend = (np.diff(hits)[:-1] != 0) | (np.diff(hits)[1:] != 0)  # the rest lie between equal recalls
        x, y = (np.append(_ends_and(values, bend)[::-1], end) for values, end in ((recall, 0.0), (precision, 1.0)))
        found.append(RankCurve(label, x, y, area))
    return found


def _above_thresholds(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of positive and of other images at or above each threshold, highest first: int64 [thresholds].

    positive: bool [n]; scores: float [n], whose distinct values are the thresholds.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of the images with one score
    hits = np.cumsum(positive[order], dtype=np.int64)[last]
    return hits, last + 1 - hits


def _ends_and(points: np.ndarray, between: np.ndarray) -> np.ndarray:
    """The first point, those chosen in `between` (bool [points - 2]) and the last one."""
    if len(points) < 3:
        return points
    return points[np.concatenate([[True], between, [True]])]


def _scored(labels: np.ndarray, probabilities: np.ndarray) -> list[int]:
    present = np.bincount(labels, minlength=probabilities.shape[1])
    some = [c for c, count in enumerate(present.tolist()) if 0 < count < len(labels)]
    return some if probabilities.shape[1] > 2 else [c for c in some if c == 1]


def draw_ranking(curves: Sequence[RankCurve], classes: Sequence[str], title: str, axes_names: tuple[str, str],
                 measure: str, steps: bool = False) -> Figure:
    """All curves in one square; those with the smallest areas have colours and names, worst first."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=axes_names[0], ylabel=axes_names[1], xlim=(-0.01, 1.01), ylim=(-0.01, 1.01),
             aspect="equal")
    ranked = sorted(curves, key=lambda curve: (curve.area, curve.label))
    draw: Callable[..., object] = axes.step if steps else axes.plot
    options = {"where": "post"} if steps else {}
    for curve in ranked[NAMED:]:
        draw(curve.x, curve.y, color=GREY, linewidth=0.6, alpha=0.5, **options)
    palette = matplotlib.colormaps["tab10"]
    for i, curve in reversed(list(enumerate(ranked[:NAMED]))):
        draw(curve.x, curve.y, color=palette(i), linewidth=1.4, linestyle=("-", "--")[i % 2], **options)
    _legend(axes, ranked, classes, measure, palette)
    return figure


def _legend(axes: Axes, ranked: Sequence[RankCurve], classes: Sequence[str], measure: str,
            palette: matplotlib.colors.Colormap) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=palette(i), linestyle=("-", "--")[i % 2],
                    label=f"{shorten(classes[curve.label], 14)}  {curve.area:.4f}")
             for i, curve in enumerate(ranked[:NAMED])]
    rest = len(ranked) - NAMED
    if rest > 0:
        lines.append(Line2D([], [], color=GREY, linewidth=0.6, label=f"{counted(rest, 'class')} with larger areas"))
    if lines:
        axes.figure.legend(handles=lines, title=measure, loc="outside lower center", ncols=2, fontsize=8,
                           handlelength=2.2)
    else:
        axes.text(0.5, 0.5, "no class has a curve", ha="center", va="center", transform=axes.transAxes)


@plot("roc", "ROC curves",
      "Each class against all others, for every threshold: the fraction of its images above the threshold over the "
      "fraction of other images above it. The dotted diagonal is chance. The legend lists the areas, smallest first.",
      section=RANKING)
def roc(material: Material) -> Figure | None:
    """One-vs-rest ROC curves of test, otherwise of validation."""
    figure = _evaluated_curves(material, roc_curves, "ROC curves",
                        axes_names=("false positive rate", "true positive rate (recall)"), measure="ROC-AUC")
    if figure is not None:
        figure.axes[0].plot([0, 1], [0, 1], ":", color=INK, linewidth=1)
    return figure


@plot("precision_recall", "Precision-recall curves",
      "Each class against all others, for every threshold: the fraction of images above the threshold that belong to "
      "the class, over the fraction of its images that are above it. The legend lists the average precision, smallest "
      "first.",
      section=RANKING)
def precision_recall(material: Material) -> Figure | None:
    """One-vs-rest precision-recall curves of test, otherwise of validation."""
    return _evaluated_curves(material, precision_recall_curves, "Precision and recall",
                      axes_names=("recall", "precision"), measure="average precision", steps=True)


def _evaluated_curves(material: Material, curves_of: Callable[[np.ndarray, np.ndarray], list[RankCurve]], title: str,
               **drawn: Any) -> Figure | None:
    """The curves of the evaluated split; None without a split, a curve, or finite probabilities."""
    found = evaluated(material)
    curves = curves_of(found[1][1], found[1][2]) if found and np.isfinite(found[1][2]).all() else []
    return draw_ranking(curves, material.classes, f"{title}, {found[0]} split", **drawn) if found and curves else None
