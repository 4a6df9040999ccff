"""Plots of a run: each is a data function (numbers out) and a draw function (figure out), by name.

Adding one means adding a function with `@plot(…)` to a module of this package.
"""

from __future__ import annotations

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


def draw_all(material: Material) -> dict[str, bytes]:
    """Every registered plot for which there is material, as PNG bytes by name, in order of registration."""
    figures = ((name, plot_named(name).draw(material)) for name in PLOTS.names())
    return {name: png(figure) for name, figure in figures if figure is not None}
