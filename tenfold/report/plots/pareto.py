"""Quality against cost: the models of a comparison and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from tenfold.evaluation.metrics import metric
from tenfold.report.plots.plot import Material, plot
from tenfold.report.plots.style import BLUE, GREY, INK, shorten

COSTS = {"seconds": "training time (s)", "images_per_second": "prediction speed (images/s)"}


def draw_pareto(points: Sequence[Mapping[str, Any]], by: str) -> Figure:
    """The quality of each model over training time and prediction speed; a line joins the Pareto front."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (key, label) in zip(panels, COSTS.items(), strict=True):
        axes.set(xlabel=label, ylabel=metric(by).title if axes is panels[0] else "")
        shown = [(point, key in point["front"]) for point in points if point["value"] is not None and point[key]]
        if shown:
            _draw_points(axes, shown, key)
        else:
            axes.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axes.transAxes)
    figure.suptitle("Quality against cost", fontsize=10, fontweight="bold")
    return figure


def _draw_points(axes: Axes, shown: Sequence[tuple[Mapping[str, Any], bool]], key: str) -> None:
    axes.set_xscale("log")
    joined = sorted((point[key], point["value"]) for point, best in shown if best)
    axes.plot(*zip(*joined, strict=True), color=BLUE, linewidth=1.2, zorder=1)
    for point, best in shown:
        value, low, high = (point[name] for name in ("value", "low", "high"))
        if low is not None and high is not None:
            axes.vlines(point[key], low, high, color=BLUE if best else GREY, linewidth=1)
        axes.plot(point[key], value, marker="o" if best else "s", markersize=6, color=BLUE if best else GREY)
        axes.annotate(shorten(point["model"], 22), (point[key], value), textcoords="offset points", color=INK,
                      xytext=(6, 5), fontsize=8)
    costs = [point[key] for point, _ in shown]
    axes.set_xlim(min(costs) / 1.3, max(costs) * 2.5)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    thousands = EngFormatter(sep="")  # 500k, 1M: long numbers would overlap
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: thousands(v) if v >= 1000 else f"{v:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


@plot("pareto", "Quality against cost",
      "The quality of each model with its 95 % interval, over training time and prediction speed. Models on the line "
      "are not beaten in both quality and cost. Grey squares are beaten by another model.")
def pareto(material: Material) -> Figure | None:
    """Quality of the models of a comparison over training time and prediction speed."""
    return draw_pareto(material.points, material.points[0]["by"]) if material.points else None
