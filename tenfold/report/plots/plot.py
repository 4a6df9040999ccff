"""Defines plots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from tenfold.registry import PLOTS
from tenfold.report.material import Material
from tenfold.report.plots.style import styled

# The headings of plots in a report. Other headings come after these.
CURVES, CONFUSION, RANKING, DECISIONS, ROBUSTNESS, IMAGES, FURTHER = (
    "Learning curves", "Confusion", "Ranking and calibration", "Decisions", "Robustness", "Images", "Further plots")


Draw = Callable[[Material], Figure | None]


@dataclass(frozen=True)
class Plot:
    """A named plot, with its title, its caption and its heading in the report."""

    name: str
    title: str
    caption: str
    function: Draw
    section: str = FURTHER

    def draw(self, material: Material) -> Figure | None:
        """The figure in Tenfold's style; None if the material lacks its data."""
        with styled():
            return self.function(material)

    __call__ = draw


def plot(name: str, title: str, caption: str, section: str = FURTHER) -> Callable[[Draw], Draw]:
    """Decorator: register a function as a plot."""

    def register(function: Draw) -> Draw:
        PLOTS.add(name, function.__module__)(Plot(name, title, caption, function, section))
        return function

    return register


def plot_named(name: str) -> Plot:
    """The registered plot of this name. Raises UnknownNameError, which suggests the nearest name."""
    found = PLOTS.get(name)
    assert isinstance(found, Plot)
    return found
