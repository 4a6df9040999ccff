"""Pictures of explanations: heat maps over images, nearest training images, galleries of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tenfold.evaluation.misclassified import Explained, Gallery, Guess
from tenfold.report.material import Samples
from tenfold.report.plots.grid import Cell, draw_cells, rgb
from tenfold.report.plots.samples import guess_cell
from tenfold.report.plots.style import shorten, styled

if TYPE_CHECKING:
    from tenfold.data.view import Images

SIDE = 96  # pixels of the longer side of an enlarged image, at most
STRENGTH = 0.65  # opacity of the colour where the heat is 1
NAME, TITLE = 17, 60  # columns of a class name and of a file name


def enlarge(image: np.ndarray) -> np.ndarray:
    """A small image (uint8 [h, w, c]) as RGB, enlarged by a whole factor to at most 96 pixels per side."""
    times = max(1, SIDE // max(image.shape[:2]))
    return np.repeat(np.repeat(rgb(image), times, axis=0), times, axis=1)


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The enlarged image in grey, with the heat map in colour on top: uint8 [h, w, 3].

    image: uint8 [h, w, c]; heat: float32 [h, w] from 0 (no colour) to 1.
    """
    large = enlarge(image)
    grey = np.asarray(Image.fromarray(large).convert("L"), np.float32)[:, :, None]
    size = (large.shape[1], large.shape[0])
    smooth = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    colour = 255 * matplotlib.colormaps["inferno"](smooth)[:, :, :3]
    opacity = STRENGTH * smooth[:, :, None].clip(0, 1)
    return np.clip((1 - opacity) * grey + opacity * colour, 0, 255).round().astype(np.uint8)


def draw_explained(explained: Explained, classes: Sequence[str], training: Samples | None = None,
                   title: str = "") -> Figure:
    """The image, its heat maps and its nearest training images.

    training: the images, uint8 [n, h, w, c], and labels, int64 [n], that the neighbours index; None: no neighbours.
    """
    cells = [guess_cell(explained.image, explained.guess, classes)]
    cells += [Cell(overlay(explained.image, heat), ("Grad-CAM of", shorten(classes[label], NAME + 3)))
              for label, heat in explained.heats]
    if training is not None:
        cells += [Cell(training[0][n.index], (
            shorten(PurePath(n.name).name, NAME + 3) if n.name else f"train {n.index:,}",
            shorten(classes[n.label], NAME + 3), f"similarity {n.similarity:.3f}")) for n in explained.neighbours]
    with styled():
        return draw_cells(cells, len(cells), shorten(title, TITLE))


def draw_gallery(gallery: Gallery, images: Images, classes: Sequence[str]) -> Figure | None:
    """The gallery of a class, one row for each kind of images; None if it is empty."""
    rows: list[tuple[str, Sequence[Guess]]] = [
        ("correct, confident", gallery.most_confident), ("correct, uncertain", gallery.least_confident),
        ("misclassified", gallery.misclassified), ("predicted as it", gallery.predicted_as)]
    columns = max(len(guesses) for _, guesses in rows)
    cells: list[Cell] = []
    for kind, guesses in rows:
        if guesses:
            row = [guess_cell(images[g.index], g, classes) for g in guesses]
            row = [replace(cell, lines=(kind, *cell.lines)) for cell in row]
            blank = Cell(np.full_like(row[0].image, 255), (), blank=True)
            cells += row + [blank] * (columns - len(row))
    if not cells:
        return None
    with styled():
        return draw_cells(cells, columns, f"Class {shorten(classes[gallery.label], 40)}")
