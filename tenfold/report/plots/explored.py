"""Plots of a data set before any training: counts, examples, mean images, sizes, colours, and the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from tenfold.counted import counted
from tenfold.report.explored import Explored
from tenfold.report.plots.grid import Cell, class_grid, draw_cells
from tenfold.report.plots.plot import Material, plot
from tenfold.report.plots.style import BLUE, COLOURS, GREY, INK, VERMILLION, shorten

EXPLORED = "Data"  # the heading
MOST_CLASSES = 50  # with a bar, a box or a picture of their own
SHADES = COLOURS[:3]  # of the splits
PERCENTILES = (5, 25, 50, 75, 95)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # weights of red, green and blue (Rec. 601)
MOST_EXAMPLES = 10  # of a class
COLOURED = 20  # classes with a colour of their own on the map
NAME = 24  # columns of a class name


@dataclass(frozen=True)
class Colours:
    """Brightness and colour by class: percentiles float [k, 5] of the mean brightness, 0 to 255; mean colour [k, 3].

    NaN for classes without images.
    """

    brightness: np.ndarray
    means: np.ndarray


def colours(explored: Explored) -> Colours:
    """Brightness and mean colour of the images of each class."""
    k = len(explored.classes)
    found = Colours(np.full((k, len(PERCENTILES)), np.nan), np.full((k, 3), np.nan))
    bright = explored.looks.colours @ LUMA
    for label in np.unique(explored.labels):
        rows = explored.labels == label
        found.brightness[label] = np.percentile(bright[rows], PERCENTILES)
        found.means[label] = explored.looks.colours[rows].mean(axis=0)
    return found


def sizes(explored: Explored) -> tuple[np.ndarray, np.ndarray] | None:
    """(width and height int64 [m, 2], number of images int64 [m]) of each size; None if there are fewer than two."""
    if explored.sizes is None or not len(explored.sizes):
        return None
    found, counts = np.unique(explored.sizes, axis=0, return_counts=True)
    return (found, counts) if len(found) > 1 else None


@plot("explore_counts", "Images by class and split", "Number of images of each class; the colours are the splits.",
      section=EXPLORED)
def explore_counts(material: Material) -> Figure | None:
    """Number of images by class and split."""
    explored = material.explored
    if explored is None:
        return None
    names = _names(explored)
    figure = _rows(len(names))
    axes, before = figure.subplots(), np.zeros(len(names))
    for i, split in enumerate(explored.splits):
        counts = explored.counts[: len(names), i]
        axes.barh(range(len(names)), counts, left=before, label=split, color=SHADES[i % len(SHADES)], height=0.75)
        before += counts
    _name_rows(figure, names, explored, "images")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if len(explored.splits) > 1:
        figure.legend(loc="outside lower center", ncols=len(explored.splits))
    return figure


@plot("explore_examples", "Random examples", "Up to ten random images of each class, from all splits.",
      section=EXPLORED)
def explore_examples(material: Material) -> Figure | None:
    """Random images of each class."""
    explored = material.explored
    if explored is None or not len(explored):
        return None
    rows = np.flatnonzero(explored.labels[explored.examples] < MOST_CLASSES)
    labels = explored.labels[explored.examples[rows]]
    return class_grid(explored.looks.examples[rows], labels, explored.classes[:MOST_CLASSES], MOST_EXAMPLES,
                      counts=explored.counts.sum(axis=1)[:MOST_CLASSES])


@plot("explore_means", "Mean images", "The mean of all images of each class. What stands out is the same in most of "
      "them: a position, a background, a border.", section=EXPLORED)
def explore_means(material: Material) -> Figure | None:
    """The mean image of each class."""
    explored = material.explored
    if explored is None or not len(explored):
        return None
    cells = [Cell(np.rint(mean).astype(np.uint8), (shorten(name, NAME - 4),))
             for mean, name in zip(explored.looks.means, explored.classes, strict=True) if not np.isnan(mean).any()]
    return draw_cells(cells[:MOST_CLASSES], 5, "Mean image of each class")


@plot("explore_sizes", "Sizes of the files", "Width and height of the image files, in pixels; larger dots are more "
      "images. Tenfold reads all images at one size.", section=EXPLORED)
def explore_sizes(material: Material) -> Figure | None:
    """Width and height of the image files."""
    found = sizes(material.explored) if material.explored is not None else None
    if found is None:
        return None
    (width, height), counts = found[0].T, found[1]
    figure = Figure(figsize=(5.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.scatter(width, height, s=8 + 200 * counts / counts.max(), color=BLUE, alpha=0.6, linewidths=0)
    low, high = min(width.min(), height.min()) * 0.85, max(width.max(), height.max()) * 1.18
    scale = "log" if high > 6 * low else "linear"
    axes.plot((low, high), (low, high), color=GREY, linewidth=0.8, zorder=0)
    axes.set(title=f"{counted(len(counts), 'size')} of {counted(counts.sum(), 'image file')}", xlabel="width (pixels)",
             ylabel="height (pixels)", xscale=scale, yscale=scale, xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        if scale == "log":
            axis.set_minor_formatter(NullFormatter())
    return figure


@plot("explore_colours", "Brightness and colour", "Mean brightness of the images of each class (line: 5 to 95 % of the "
      "images; box: the middle half), in the mean colour of the class. Classes that differ clearly can be told apart "
      "by brightness or colour alone.", section=EXPLORED)
def explore_colours(material: Material) -> Figure | None:
    """Brightness and mean colour by class."""
    explored = material.explored
    if explored is None or not len(explored):
        return None
    names, found = _names(explored), colours(explored)
    figure = _rows(len(names))
    axes = figure.subplots()
    for i, (low, first, middle, third, high) in enumerate(found.brightness[: len(names)].tolist()):
        if np.isnan(middle):
            continue
        axes.plot((low, high), (i, i), color=GREY, linewidth=1.2, zorder=1)
        axes.barh(i, max(third - first, 1.0), left=first, height=0.7, color=tuple(found.means[i] / 255),
                  edgecolor=INK, linewidth=0.8, zorder=2)
        axes.plot((middle, middle), (i - 0.35, i + 0.35), color=VERMILLION, linewidth=2, zorder=3,
                  solid_capstyle="butt")
    _name_rows(figure, names, explored, "mean brightness (0 to 255)")
    axes.set_xlim(0, 255)
    return figure


@plot("explore_map", "Map of all images", "Images with similar features of a pretrained network lie close together. "
      "The colours are the classes.", section=EXPLORED)
def explore_map(material: Material) -> Figure | None:
    """The map of all images."""
    explored = material.explored
    if explored is None or explored.places is None or not len(explored):
        return None
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    axes = figure.subplots()
    shades = shades_of(len(explored.classes))
    order = np.random.default_rng(0).permutation(len(explored))
    size = float(np.clip(20_000 / len(explored), 0.6, 30))
    across, down = explored.places[order].T
    axes.scatter(across, down, s=size, c=shades[explored.labels[order]], linewidths=0)
    axes.set(title=f"{counted(len(explored), 'image')}, placed by {explored.method}", xlim=(-0.02, 1.02),
             ylim=(1.02, -0.02), aspect="equal")
    axes.set_axis_off()
    if len(explored.classes) <= COLOURED:
        for name, shade in zip(explored.classes, shades, strict=True):
            axes.scatter([], [], s=40, color=shade, label=shorten(name, NAME))
        figure.legend(loc="outside right center")
    return figure


def shades_of(count: int) -> np.ndarray:
    """A colour for each of `count` classes, float [count, 4]; beyond 20 classes they repeat."""
    shades = matplotlib.colormaps["tab10" if count <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    return np.array([(*shades[i % len(shades)], 1.0) for i in range(count)]).reshape(count, 4)


def _names(explored: Explored) -> list[str]:
    return [shorten(name, NAME) for name in explored.classes[:MOST_CLASSES]]


def _rows(count: int) -> Figure:
    return Figure(figsize=(6.5, max(2.2, 0.24 * count + 1.1)), layout="constrained")


def _name_rows(figure: Figure, names: Sequence[str], explored: Explored, label: str) -> None:
    axes = figure.axes[0]
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=label)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    hidden = len(explored.classes) - len(names)
    if hidden:
        axes.set_title(f"the first {len(names)} of {len(explored.classes):,} classes")
