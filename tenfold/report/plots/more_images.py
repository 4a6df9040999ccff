"""The accuracy against the number of training images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from tenfold.report.plots.plot import CURVES, Material, plot
from tenfold.report.plots.style import BLUE, GREY, VERMILLION


@dataclass(frozen=True)
class Growth:
    """Numbers of images int [s] with accuracy and interval, float [s]; the last one is expected, not measured."""

    images: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray


def growth(curve: Mapping[str, Any]) -> Growth | None:
    """The measured points of `learning_curve.json`, and the expected one with twice the images; None if too few."""
    doubled = curve.get("doubled")
    if not doubled or doubled["low"] is None:
        return None
    points, last = curve["points"], curve["points"][-1]["accuracy"]
    columns = [[point[key] for point in points] for key in ("images", "accuracy", "low", "high")]
    expected = [doubled["images"], *(min(1.0, last + doubled[key]) for key in ("gain", "low", "high"))]
    images, accuracy, low, high = ([*column, value] for column, value in zip(columns, expected, strict=True))
    return Growth(np.array(images), np.array(accuracy), np.array(low), np.array(high))


def draw_growth(data: Growth) -> Figure:
    """The measured accuracies with their intervals, and the expected one with twice the images."""
    figure = Figure(figsize=(6, 3.7), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title="Accuracy against training images", xlabel="training images", ylabel="test accuracy (%)",
             xscale="log")
    for part, colour, line, name in ((slice(None, -1), BLUE, "-", "measured"),
                                     (slice(-1, None), VERMILLION, "none", "expected")):
        errors = np.maximum(np.stack([data.accuracy - data.low, data.high - data.accuracy]), 0)[:, part]
        axes.errorbar(data.images[part], data.accuracy[part], errors, color=colour, linestyle=line, marker="o",
                      elinewidth=1, capsize=3, label=name)
    axes.plot(data.images[-2:], data.accuracy[-2:], ":", color=GREY, zorder=1)
    axes.xaxis.set_major_locator(FixedLocator(data.images.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=""))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return figure


@plot("more_images", "Accuracy against training images",
      "Test accuracy of classifiers trained on parts of the training images, with 95 % intervals, and the accuracy to "
      "expect with twice the images, from a power law of the errors.", section=CURVES)
def more_images(material: Material) -> Figure | None:
    """The learning curve, if it was measured."""
    data = growth(material.learning_curve)
    return None if data is None else draw_growth(data)
