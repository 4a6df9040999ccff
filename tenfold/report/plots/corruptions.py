"""Robustness: accuracy under corruptions of increasing severity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tenfold.report.plots.plot import ROBUSTNESS, Material, plot
from tenfold.report.plots.style import BLUE, GREY, INK


def accuracies(corruptions: Mapping[str, Any]) -> tuple[list[str], np.ndarray]:
    """(titles, table [corruptions, 1 + severities, 3]): value, low, high. Severity 0 means no corruption.

    The corruption with the lowest accuracy at the highest severity comes first.
    """
    keys = ("value", "low", "high")
    clean = [corruptions["clean"][key] for key in keys] if corruptions else []
    found = [(each["title"], [clean, *([entry[key] for key in keys] for entry in each["accuracy"])])
             for each in corruptions.get("corruptions", {}).values()]
    found.sort(key=lambda pair: pair[1][-1][0])
    table = np.array([rows for _, rows in found], np.float64) if found else np.zeros((0, 1, 3))
    return [title for title, _ in found], table


def draw_accuracies(titles: list[str], table: np.ndarray) -> Figure:
    """A panel for each corruption: accuracy by severity with its interval; a dotted line without corruption."""
    columns = min(5, max(1, len(titles)))
    rows = max(1, -(-len(titles) // columns))
    figure = Figure(figsize=(max(4.0, 1.9 * columns), 1.8 * rows + 0.7), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    figure.suptitle("Accuracy under corruption", fontsize=10, fontweight="bold")
    figure.supxlabel("severity (0: no corruption)", fontsize=9)
    figure.supylabel("accuracy (%)", fontsize=9)
    for i, axes in enumerate(panels.flat):
        if i >= len(titles):
            axes.set_axis_off()
            continue
        severities = np.arange(table.shape[1])
        axes.set_title(titles[i], fontsize=9, fontweight="normal")
        axes.axhline(table[i, 0, 0], color=GREY, linestyle=":", linewidth=1)
        axes.fill_between(severities, table[i, :, 1], table[i, :, 2], color=BLUE, alpha=0.2, linewidth=0)
        axes.plot(severities, table[i, :, 0], color=BLUE, marker="o", markersize=3)
        axes.annotate(f"{100 * table[i, -1, 0]:.0f}", (severities[-1], table[i, -1, 0]), fontsize=8,
                      textcoords="offset points", xytext=(0, 5), ha="center", color=INK)
        axes.set(ylim=(0, 1), xticks=severities)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    if not titles:
        figure.text(0.5, 0.5, "no corruptions scored", ha="center", va="center")
    return figure


@plot("corruptions", "Robustness",
      "Accuracy on corrupted test images (Hendrycks & Dietterich 2019, severities of CIFAR-10-C) with 95 % "
      "intervals, the most harmful corruption first. The dotted line is the accuracy without corruption.",
      section=ROBUSTNESS)
def corruption_panels(material: Material) -> Figure | None:
    """Accuracy by corruption and severity."""
    if not material.corruptions.get("corruptions"):
        return None
    return draw_accuracies(*accuracies(material.corruptions))
