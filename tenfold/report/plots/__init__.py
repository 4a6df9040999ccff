"""The plots of a run by name. Each has a data function (returns numbers) and a draw function (returns a figure).

To add a plot, add a function with `@plot(…)` to a module of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor

from tenfold.progress import SILENT, Watcher
from tenfold.registry import PLOTS
from tenfold.report.plots.grid import class_grid
from tenfold.report.plots.plot import (
    CONFUSION,
    CURVES,
    DECISIONS,
    FURTHER,
    IMAGES,
    RANKING,
    ROBUSTNESS,
    Material,
    Plot,
    plot_named,
)
from tenfold.report.plots.style import encoded, pixels

__all__ = [
    "CONFUSION", "CURVES", "DECISIONS", "FURTHER", "IMAGES", "RANKING", "ROBUSTNESS", "Drawn", "Material", "Plot",
    "class_grid", "draw_all", "drawn", "plot_named",
]

Drawn = Callable[[str, Material, Executor], "Future[bytes] | None"]


def drawn(name: str, material: Material, encoder: Executor) -> Future[bytes] | None:
    """A registered plot as PNG bytes; None if the material lacks its data."""
    figure = plot_named(name).draw(material)
    return None if figure is None else encoder.submit(encoded, pixels(figure))


def draw_all(material: Material, watcher: Watcher = SILENT, draw: Drawn = drawn) -> dict[str, bytes]:
    """Each registered plot that the material suffices for, as PNG bytes by name, in order of registration."""
    names, found = PLOTS.names(), {}
    with ThreadPoolExecutor(1) as encoder:  # encodes a plot while the next one is drawn
        for number, name in enumerate(names):
            watcher.advance("report", number, len(names), "pictures")
            picture = draw(name, material, encoder)
            if picture is not None:
                found[name] = picture
    watcher.advance("report", len(names), len(names), "pictures")
    return {name: picture.result() for name, picture in found.items()}
