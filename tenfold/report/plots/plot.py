"""Defines plots, and the material that they are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from tenfold.evaluation.misclassified import Explained
from tenfold.registry import PLOTS
from tenfold.report.explored import Explored
from tenfold.report.plots.style import styled

if TYPE_CHECKING:
    from tenfold.data.view import Images

Samples = tuple["Images", np.ndarray]  # images uint8 [n, h, w, c], labels int64 [n]
Predicted = tuple["Images", np.ndarray, np.ndarray]  # the same and probabilities float [n, k]

# The headings of plots in a report. Other headings come after these.
CURVES, CONFUSION, RANKING, DECISIONS, ROBUSTNESS, IMAGES, FURTHER = (
    "Learning curves", "Confusion", "Ranking and calibration", "Decisions", "Robustness", "Images", "Further plots")


@dataclass(frozen=True)
class Material:
    """The data for plots; missing data are empty or None.

    history: one record per epoch, from `Run.history()`; classes: names in the order of the labels; metrics: as in
    `metrics.json`; samples: training images (uint8 [n, h, w, c], c 1 or 3) and labels (int64 [n]);
    validation, test: images, labels and probabilities (float [n, k]); best_epoch: the kept epoch (None: marks the
    first one with the highest validation accuracy); explained: errors of the evaluated split with explanations;
    calibration, decisions, corruptions, learning_curve, ensemble, distillation, inspection: as in the JSON files of
    these names; points: the models of a comparison, from `Leaderboard.pareto`; search: the content of `search.json`;
    explored: a data set before any training.
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
    decisions: Mapping[str, Any] = field(default_factory=dict)
    corruptions: Mapping[str, Any] = field(default_factory=dict)
    learning_curve: Mapping[str, Any] = field(default_factory=dict)
    ensemble: Mapping[str, Any] = field(default_factory=dict)
    distillation: Mapping[str, Any] = field(default_factory=dict)
    points: Sequence[Mapping[str, Any]] = ()
    search: Mapping[str, Any] = field(default_factory=dict)
    inspection: Mapping[str, Any] = field(default_factory=dict)
    explored: Explored | None = None


def evaluated(material: Material) -> tuple[str, Predicted] | None:
    """(split, its images, labels and probabilities): test, otherwise validation, otherwise None."""
    for split, predicted in (("test", material.test), ("validation", material.validation)):
        if predicted is not None and len(predicted[1]):
            return split, predicted
    return None


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
        PLOTS.add(name)(Plot(name, title, caption, function, section))
        return function

    return register


def plot_named(name: str) -> Plot:
    """The registered plot of this name. Raises UnknownNameError, which suggests the nearest name."""
    found = PLOTS.get(name)
    assert isinstance(found, Plot)
    return found
