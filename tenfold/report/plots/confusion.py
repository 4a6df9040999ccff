"""Confusion matrices: numbers of images by true and predicted class."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tenfold.evaluation.confusion import by_true_class, confusion_of
from tenfold.report.plots.plot import CONFUSION, Material, plot
from tenfold.report.plots.style import INK, shorten

MAX_NUMBERED = 24  # classes; larger matrices have no numbers in their cells


def draw_confusion(
    values: np.ndarray, classes: Sequence[str], title: str, label: str, percent: bool = False
) -> Figure:
    """A matrix [k, k] as an image with class names, and with numbers if there are at most 24 classes."""
    k = len(classes)
    side = max(3.0, 0.5 * k) if k <= MAX_NUMBERED else min(max(12.0, 0.1 * k), 40.0)
    names = [shorten(name, 20) for name in classes]
    upright = k > 6
    longest = 0.075 * max(map(len, names), default=0)
    height = side + 1.0 + (longest if upright else 0.5 * longest)
    figure = Figure(figsize=(side + longest + 1.7, height), layout="constrained")
    axes = figure.add_subplot()
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="#E4E7EB")
    top = 1.0 if percent else max(float(values.max(initial=0)), 1.0)
    norm = Normalize(0, top) if k <= MAX_NUMBERED else PowerNorm(0.5, 0, top)  # makes rare confusions visible
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, norm=norm, interpolation="nearest")
    axes.set(title=title, xlabel="predicted class", ylabel="true class")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    _name_ticks(axes, names, side, upright)
    ticks = None if percent else MaxNLocator(integer=True, min_n_ticks=1)  # counts: whole numbers, each once
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, pad=0.02, ticks=ticks)
    bar.set_label(label if k <= MAX_NUMBERED else f"{label}, square-root colour scale")
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.0f}" if percent else f"{v:,.0f}"))
    if k <= MAX_NUMBERED:
        _write_cells(axes, values, top, percent)
    return figure


def _name_ticks(axes: Axes, names: list[str], side: float, upright: bool) -> None:
    """Class names on both axes; with very many classes only every second or third, so that none overlap."""
    pitch = 72 * side / max(len(names), 1)
    every = max(1, int(np.ceil(6.0 / pitch)))
    size = min(9.0, 0.8 * pitch * every)
    ticks = range(0, len(names), every)
    axes.set_xticks(ticks, names[::every], rotation=90 if upright else 30, fontsize=size,
                    ha="center" if upright else "right")
    axes.set_yticks(ticks, names[::every], fontsize=size)
    axes.tick_params(length=0)


def _write_cells(axes: Axes, values: np.ndarray, top: float, percent: bool) -> None:
    texts = [[_cell(value, percent) for value in row] for row in values.tolist()]
    longest = max((len(text) for row in texts for text in row), default=1)
    size = min(9.0, 0.5 * 72 / (0.75 * longest))
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            ink = "white" if values[i, j] > 0.55 * top else INK
            axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=size,
                      fontweight="bold" if i == j else "normal", in_layout=False)


def _cell(value: float, percent: bool) -> str:
    if np.isnan(value):
        return "–"
    return f"{100 * value:.1f}" if percent else f"{value:,.0f}"


@plot("confusion_matrix", "Confusion matrix (images)",
      "Rows are true classes, columns are predicted classes. The diagonal counts correct predictions.",
      section=CONFUSION)
def confusion_matrix(material: Material) -> Figure | None:
    """Numbers of images by true and predicted class."""
    found = confusion_of(material.metrics)
    if found is None:
        return None
    split, counts = found
    return draw_confusion(counts, material.classes, f"Confusion matrix, {split} split", "images")


@plot("confusion_matrix_normalised", "Confusion matrix (fraction of each true class)",
      "Each row adds up to 100 %. The diagonal is the recall of each class. A grey row has no images.",
      section=CONFUSION)
def confusion_matrix_normalised(material: Material) -> Figure | None:
    """Fractions of each true class by predicted class."""
    found = confusion_of(material.metrics)
    if found is None:
        return None
    split, counts = found
    title, label = f"Confusion matrix by true class, {split} split", "fraction of the true class (%)"
    return draw_confusion(by_true_class(counts), material.classes, title, label, percent=True)
