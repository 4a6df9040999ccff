"""Plots of a run: each is a data function (numbers out) and a draw function (figure out), by name.

Adding one means adding a function with `@plot(…)` to a module of this package.
"""

from __future__ import annotations

from tenfold.progress import SILENT, Watcher
from tenfold.registry import PLOTS
from tenfold.report.plots.grid import class_grid
from tenfold.report.plots.plot import (
    CONFUSION,
    CURVES,
    FURTHER,
    IMAGES,
    RANKING,
    ROBUSTNESS,
    Material,
    Plot,
    plot_named,
)
from tenfold.report.plots.style import png

__all__ = [
    "CONFUSION", "CURVES", "FURTHER", "IMAGES", "RANKING", "ROBUSTNESS", "Material", "Plot", "class_grid", "draw_all",
    "plot_named",
]


def draw_all(material: Material, watcher: Watcher = SILENT) -> dict[str, bytes]:
    """Every registered plot for which there is material, as PNG bytes by name, in order of registration."""
    names, drawn = PLOTS.names(), {}
    for number, name in enumerate(names):
        watcher.advance("report", number, len(names), "pictures")
        figure = plot_named(name).draw(material)
        if figure is not None:
            drawn[name] = png(figure)
    watcher.advance("report", len(names), len(names), "pictures")
    return drawn
