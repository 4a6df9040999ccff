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


LINE = 0.17  # inches between two names


def draw_pareto(points: Sequence[Mapping[str, Any]], by: str) -> Figure:
    """The quality of each model over training time and prediction speed; a line joins the Pareto front."""
    figure = Figure(figsize=(11, max(4.2, LINE * len(points) + 1.2)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    drawn = [(axes, [point for point in points if point["value"] is not None and point[key]], key)
             for axes, key in zip(panels, COSTS, strict=True)]
    for axes, shown, key in drawn:
        axes.set(xlabel=COSTS[key], ylabel=metric(by).title if axes is panels[0] else "")
        if shown:
            _draw_points(axes, [(point, key in point["front"]) for point in shown], key)
        else:
            axes.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axes.transAxes)
    low, high = panels[0].get_ylim()
    for axes, shown, key in drawn:
        _draw_names(axes, [(point["model"], point[key], (point["value"] - low) / (high - low)) for point in shown],
                    LINE / (figure.get_figheight() - 1.2))
    panels[0].set_ylim(low, high)
    figure.suptitle("Quality against cost", fontsize=10, fontweight="bold")
    return figure


def _draw_points(axes: Axes, shown: Sequence[tuple[Mapping[str, Any], bool]], key: str) -> None:
    axes.set_xscale("log")
    costs = [point[key] for point, _ in shown]
    axes.set_xlim(min(costs) / 1.3, max(costs) * 1.3)  # first: Matplotlib can't choose limits around a single cost
    joined = sorted((point[key], point["value"]) for point, best in shown if best)
    axes.plot(*zip(*joined, strict=True), color=BLUE, linewidth=1.2, zorder=1)
    for point, best in shown:
        value, low, high = (point[name] for name in ("value", "low", "high"))
        if low is not None and high is not None:
            axes.vlines(point[key], low, high, color=BLUE if best else GREY, linewidth=1)
        axes.plot(point[key], value, marker="o" if best else "s", markersize=6, color=BLUE if best else GREY)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    thousands = EngFormatter(sep="")  # 500k, 1M: long numbers would overlap
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: thousands(v) if v >= 1000 else f"{v:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_names(axes: Axes, named: Sequence[tuple[str, float, float]], pitch: float) -> None:
    """Names beside the axes, joined with their points by thin lines: near points would have names that overlap.

    named: (name, cost, height in the axes from 0 to 1) of each point; pitch: the height of a line of text.
    """
    named = sorted(named, key=lambda each: (each[2], each[1]))
    for (name, cost, height), place in zip(named, spread([height for *_, height in named], pitch), strict=True):
        axes.annotate(shorten(name, 22), (cost, height), (1.04, place), xycoords=("data", "axes fraction"),
                      textcoords="axes fraction", va="center", fontsize=8, color=INK,
                      arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "relpos": (0, 0.5), "shrinkA": 0,
                                  "shrinkB": 3})


def spread(heights: Sequence[float], pitch: float) -> list[float]:
    """Ascending heights from 0 to 1, moved so that they are `pitch` apart; below 0 if there is no room."""
    places: list[float] = []
    for height in heights:
        places.append(max(height, places[-1] + pitch if places else 0.0))
    top = 1.0
    for i in reversed(range(len(places))):
        places[i] = min(places[i], top)
        top = places[i] - pitch
    return places


@plot("pareto", "Quality against cost",
      "The quality of each model with its 95 % interval, over training time and prediction speed. Models on the line "
      "are not beaten in both quality and cost. Grey squares are beaten by another model.")
def pareto(material: Material) -> Figure | None:
    """Quality of the models of a comparison over training time and prediction speed."""
    return draw_pareto(material.points, material.points[0]["by"]) if material.points else None
