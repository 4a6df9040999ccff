"""What a plot is, and what it is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from tenfold.evaluation.misclassified import Explained
from tenfold.registry import PLOTS
from tenfold.report.plots.style import styled

if TYPE_CHECKING:
    from tenfold.data.view import Images

Samples = tuple["Images", np.ndarray]  # images uint8 [n, h, w, c], labels int64 [n]
Predicted = tuple["Images", np.ndarray, np.ndarray]  # and probabilities float [n, k]

# Headings of a report that plots stand under; a heading of one's own comes after these.
CURVES, CONFUSION, RANKING, ROBUSTNESS, IMAGES, FURTHER = (
    "Learning curves", "Confusion", "Ranking and calibration", "Robustness", "Images", "Further plots")


@dataclass(frozen=True)
class Material:
    """All that plots are drawn from; what is not available is empty or None.

    history: one record an epoch, as `Run.history()` gives it; classes: names in the order of the labels;
    metrics: as in `metrics.json`; samples: training images (uint8 [n, h, w, c], c 1 or 3) and labels
    (int64 [n]); validation and test: images, labels and probabilities (float [n, k]); best_epoch: the
    epoch that was kept (None: the first with the highest validation accuracy is marked); explained: errors of
    the split that is judged, with what speaks for them; calibration and corruptions: as in `calibration.json`
    and `corruptions.json`; points: the models of a comparison, as `Leaderboard.pareto` gives them.
    """

    history: Sequence[Mapping[str, float]] = ()
    classes: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    samples: Samples | None = None
    validation: Predicted | None = None
    test: Predicted | None = None
    best_epoch: int | None = None
    explained: Sequence[Explained] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)
    corruptions: Mapping[str, Any] = field(default_factory=dict)
    points: Sequence[Mapping[str, Any]] = ()


def judged(material: Material) -> tuple[str, Predicted] | None:
    """(split, its images, labels and probabilities): test, else validation, else None."""
    for split, predicted in (("test", material.test), ("validation", material.validation)):
        if predicted is not None and len(predicted[1]):
            return split, predicted
    return None


Draw = Callable[[Material], Figure | None]


@dataclass(frozen=True)
class Plot:
    """A plot by name, with the title and the caption that a report gives it, and the heading it stands under."""

    name: str
    title: str
    caption: str
    function: Draw
    section: str = FURTHER

    def draw(self, material: Material) -> Figure | None:
        """The figure, in Tenfold's style; None where the material lacks what the plot shows."""
        with styled():
            return self.function(material)

    __call__ = draw


def plot(name: str, title: str, caption: str, section: str = FURTHER) -> Callable[[Draw], Draw]:
    """Decorator: register a function as a plot."""

    def register(function: Draw) -> Draw:
        PLOTS.add(name)(Plot(name, title, caption, function, section))
        return function

    return register


def plot_named(name: str) -> Plot:
    """The registered plot of that name. Raises UnknownNameError, with the nearest name."""
    found = PLOTS.get(name)
    assert isinstance(found, Plot)
    return found
