"""Learning curves: loss and accuracy over the epochs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from tenfold.report.plots.plot import CURVES, Material, plot
from tenfold.report.plots.style import BLUE, GREY, INK, VERMILLION


@dataclass(frozen=True)
class Curve:
    """A quantity over the epochs, float [epochs] each; NaN if an epoch has no finite value.

    phases: the first epoch of the second and each later phase, if the training has several.
    """

    epochs: np.ndarray
    training: np.ndarray
    validation: np.ndarray
    best: int | None
    phases: tuple[int, ...] = ()

    def at_best(self) -> float:
        """The value at the best epoch: validation, otherwise training."""
        values = np.where(np.isnan(self.validation), self.training, self.validation)
        return float(values[self.epochs == self.best][0])


def curve(history: Sequence[Mapping[str, float]], quantity: str, best_epoch: int | None = None) -> Curve:
    """The training and validation values of `quantity` ("loss", "accuracy"), and the best epoch.

    Without `best_epoch`, the best epoch is the first one with the highest validation accuracy, if any.
    """
    epochs = np.array([int(record["epoch"]) for record in history], int)
    accuracy = _finite(history, "val_accuracy")
    if best_epoch is None and not np.isnan(accuracy).all():
        best_epoch = int(epochs[np.nanargmax(accuracy)])
    known = best_epoch if best_epoch in epochs else None
    phases = tuple(int(after["epoch"]) for before, after in itertools.pairwise(history)
                   if before.get("phase") != after.get("phase"))
    return Curve(epochs, _finite(history, quantity), _finite(history, f"val_{quantity}"), known, phases)


def _finite(history: Sequence[Mapping[str, float]], key: str) -> np.ndarray:
    values = np.array([record.get(key, np.nan) for record in history], float)
    return np.where(np.isfinite(values), values, np.nan)


def draw_curve(data: Curve, title: str, label: str, percent: bool = False) -> Figure:
    """The training and validation curves with the best epoch marked; a note if there is nothing to draw."""
    figure = Figure(figsize=(6, 3.7), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel="epoch", ylabel=label)
    drawn = False
    marker = len(data.epochs) <= 40
    for name, values, colour, line, shape in (
        ("training", data.training, BLUE, "--", "o"), ("validation", data.validation, VERMILLION, "-", "s"),
    ):
        if not np.isnan(values).all():
            axes.plot(data.epochs, values, line, color=colour, marker=shape if marker else None, label=name)
            drawn = True
    if not drawn:
        axes.text(0.5, 0.5, "no complete epoch", ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return figure
    for number, first in enumerate(data.phases, 2):
        axes.axvline(first - 0.5, color=GREY, linewidth=1, zorder=1)
        axes.text(first - 0.5, 1.0, f" phase {number}", transform=axes.get_xaxis_transform(), va="top", fontsize=8,
                  color=INK)
    _mark_best(axes, data, percent)
    axes.set_xlim(data.epochs[0] - 0.5, data.epochs[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=""))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    return figure


def _mark_best(axes: Axes, data: Curve, percent: bool) -> None:
    if data.best is None:
        return
    value = data.at_best()
    axes.axvline(data.best, color=INK, linewidth=1, linestyle=":", zorder=1)
    if np.isnan(value):
        return
    text = f"{100 * value:.1f} %" if percent else f"{value:.4f}"
    axes.plot([data.best], [value], "o", color=INK, markersize=12, markerfacecolor="none", zorder=4,
              label=f"best epoch {data.best:,} ({text})")


def _is_one_fit(material: Material) -> bool:
    return len(material.history) == 1 and "C" in material.history[0]


@plot("loss", "Loss",
      "Cross-entropy by epoch. Training values are means over the epoch, with augmentation and dropout if the "
      "recipe uses them. Validation values are measured at the end of the epoch.", section=CURVES)
def loss(material: Material) -> Figure | None:
    """Training and validation loss by epoch; None for a logistic regression, which has no epochs."""
    if _is_one_fit(material):
        return None
    data = curve(material.history, "loss", material.best_epoch)
    return draw_curve(data, "Loss", "cross-entropy (nats)") if len(data.epochs) else None


@plot("accuracy", "Accuracy", "Fraction of images classified correctly, by epoch, measured like the loss.",
      section=CURVES)
def accuracy(material: Material) -> Figure | None:
    """Training and validation accuracy by epoch; None for a logistic regression, which has no epochs."""
    if _is_one_fit(material):
        return None
    data = curve(material.history, "accuracy", material.best_epoch)
    return draw_curve(data, "Accuracy", "accuracy (%)", percent=True) if len(data.epochs) else None
