"""Confusions for a page: the matrix and the most confused pairs, with the images of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.counted import counted
from tenfold.decisions.temperature import as_predicted
from tenfold.evaluation.confusion import Pair, by_true_class, confused_pairs, confusion_of
from tenfold.evaluation.misclassified import cell
from tenfold.report.material import Material, Predicted, evaluated
from tenfold.report.plots.confusion import MAX_NUMBERED
from tenfold.report.thumbnails import Sheet, Thumbnail

PAIRS = {True: 12, False: 40}  # listed pairs, with and without an HTML matrix
IMAGES = 600  # thumbnails in all cells together, but at least two per cell


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix: its text, its fraction of the true class (0–1), its description, its group's id."""

    text: str
    fraction: float
    words: str
    group: str
    true: int
    predicted: int


@dataclass(frozen=True)
class Group:
    """The images of one cell."""

    id: str
    true: int
    predicted: int
    heading: str
    note: str
    thumbnails: Sequence[Thumbnail]


@dataclass(frozen=True)
class Confusions:
    """The confusions of one split.

    rows: (label, class, cells), empty if there are too many classes; pairs: with the id of their group, most confused
    first; groups: the images of each cell.
    """

    split: str
    rows: Sequence[tuple[int, str, Sequence[Cell]]]
    pairs: Sequence[tuple[Pair, str]]
    groups: Sequence[Group]


def confusions(material: Material, sheet: Sheet) -> Confusions | None:
    """The confusions of the evaluated split, with thumbnails in `sheet`; None without a confusion matrix."""
    found = confusion_of(material.metrics)
    if found is None:
        return None
    split, counts = found
    k = len(counts)
    pairs = confused_pairs(counts)[: PAIRS[k <= MAX_NUMBERED]]
    # Images are shown only if the matrix counts these images.
    shown = evaluated(material)
    images = None
    if shown is not None and shown[0] == split and len(shown[1][1]) == counts.sum():
        pixels, labels, probabilities = shown[1]
        images = pixels, labels, as_predicted(probabilities, material.decisions)
    wanted = [(i, j) for i, j in np.argwhere(counts).tolist()] if k <= MAX_NUMBERED else [
        (p.true, p.predicted) for p in pairs]
    sizes = np.array([counts[cell] for cell in wanted], np.int64)
    most = next((each for each in range(12, 2, -1) if np.minimum(sizes, each).sum() <= IMAGES), 2)
    groups = [_group(i, j, counts, images, material.classes, most, sheet) for i, j in wanted] if images else []
    ids = {(g.true, g.predicted): g.id for g in groups}
    fractions = np.nan_to_num(by_true_class(counts))
    rows = [(i, material.classes[i], [_cell(i, j, counts, fractions, material.classes, ids) for j in range(k)])
            for i in range(k)] if k <= MAX_NUMBERED else []
    return Confusions(split, rows, [(pair, ids.get((pair.true, pair.predicted), "")) for pair in pairs],
                      sorted(groups, key=lambda g: (g.true, g.predicted)))


def _cell(i: int, j: int, counts: np.ndarray, fractions: np.ndarray, classes: Sequence[str],
          ids: dict[tuple[int, int], str]) -> Cell:
    fraction = float(fractions[i, j])
    return Cell(f"{counts[i, j]:,}" if counts[i, j] else "·", fraction,
                f"{_words(i, j, classes)}: {_images(int(counts[i, j]))}, {100 * fraction:.1f} % of {classes[i]}",
                ids.get((i, j), ""), i, j)


def _group(i: int, j: int, counts: np.ndarray, images: Predicted, classes: Sequence[str], most: int,
           sheet: Sheet) -> Group:
    pixels, labels, probabilities = images
    shown = cell(labels, probabilities, i, j, most)
    thumbnails = [sheet.add(pixels[g.index], f"image {g.index:,}: {classes[j]} {100 * g.probability:.1f} %")
                  for g in shown]
    count = int(counts[i, j])
    note = f"{_images(count)}, {100 * count / counts[i].sum():.1f} % of {classes[i]}"
    if count > len(shown):
        note += f"; showing the {len(shown)} {'least' if i == j else 'most'} confident"
    return Group(f"cell-{i}-{j}", i, j, _words(i, j, classes), note, thumbnails)


def _words(i: int, j: int, classes: Sequence[str]) -> str:
    return f"{classes[i]} predicted correctly" if i == j else f"{classes[i]} predicted as {classes[j]}"


def _images(count: int) -> str:
    return counted(count, "image")
