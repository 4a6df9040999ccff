"""Grids of images: images with captions, and examples of every class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tenfold.report.plots.style import DPI, GREY, VERMILLION, shorten, styled

if TYPE_CHECKING:
    from tenfold.data.view import Images

THUMBNAIL = 96  # pixels per side at most, in the grid of classes
TALLEST = 60_000 / DPI  # inches: the renderer accepts figures below 2**16 pixels per side


@dataclass(frozen=True)
class Cell:
    """An image (uint8 [h, w, c]) with lines of text below it. If `wrong`, it has a thick dashed frame.

    The line equal to `strong` is bold. A blank cell stays empty.
    """

    image: np.ndarray
    lines: tuple[str, ...]
    wrong: bool = False
    strong: str = ""
    blank: bool = False


def draw_cells(cells: Sequence[Cell], columns: int, title: str) -> Figure:
    """Images with captions in rows of `columns`. All sizes are in inches, so that nothing is cut off."""
    cell, image, line, top, edge = 1.5, 1.3, 0.16, 0.45, 0.1
    texts = max((len(c.lines) for c in cells), default=0)
    pitch = image + texts * line + 0.2
    rows = -(-len(cells) // columns)
    width, height = max(columns * cell + 2 * edge, 4.5), rows * pitch + top + edge
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))  # one for all images: they take long to make
    axes.set_axis_off()
    figure.text(edge / width, 1 - 0.15 / height, title, va="top", fontsize=10, fontweight="bold")
    for i, each in enumerate(cells):
        if each.blank:
            continue
        row, column = divmod(i, columns)
        left = edge + column * cell + (cell - image) / 2
        bottom = height - top - row * pitch - image
        _draw_image(axes, each.image, each.wrong, left, bottom, image)
        for n, text in enumerate(each.lines):
            weight = "bold" if text == each.strong else "normal"
            figure.text((left + image / 2) / width, (bottom - 0.07 - n * line) / height, text,
                        ha="center", va="top", fontsize=8, fontweight=weight)
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure


def _draw_image(axes: Axes, image: np.ndarray, wrong: bool, left: float, bottom: float, side: float) -> None:
    """The image, centred in a square, with a frame around it; in the units of the axes."""
    tall, wide = (side * pixels / max(image.shape[:2]) for pixels in image.shape[:2])
    left, bottom = left + (side - wide) / 2, bottom + (side - tall) / 2
    axes.imshow(rgb(image), interpolation="nearest" if max(image.shape) < 200 else "antialiased",
                extent=(left, left + wide, bottom, bottom + tall))
    axes.add_patch(Rectangle((left, bottom), wide, tall, fill=False, color=VERMILLION if wrong else GREY,
                             linewidth=3 if wrong else 0.8, linestyle=(0, (3, 1.5)) if wrong else "-", capstyle="butt",
                             zorder=2))


def examples(labels: np.ndarray, classes: int, per_class: int, seed: int) -> list[np.ndarray]:
    """Indices (int64) of up to `per_class` random images of each class. The same seed gives the same images."""
    chosen = []
    for label in range(classes):
        indices = np.flatnonzero(labels == label)
        chosen.append(np.random.default_rng([seed, label]).permutation(indices)[:per_class])
    return chosen


def mosaic(images: Images, rows: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """One picture, uint8 [height, width, 3]: each row shows the images of one index array, on white."""
    height, width = thumbnail(images[0]).shape[:2] if len(images) else (1, 1)
    gap = max(1, round(0.06 * max(height, width)))
    picture = np.full((len(rows) * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for i, indices in enumerate(rows):
        for j, index in enumerate(indices.tolist()):
            y, x = gap + i * (height + gap), gap + j * (width + gap)
            picture[y : y + height, x : x + width] = thumbnail(images[index])
    return picture


def class_grid(
    images: Images, labels: np.ndarray, classes: Sequence[str], per_class: int = 10, seed: int = 0,
    counts: np.ndarray | None = None,
) -> Figure:
    """Random examples of every class, one row per class, with its name and number of images.

    images: uint8 [n, h, w, c], c 1 or 3; labels: int64 [n]; counts: int64 [classes], if these are not all images. The
    same seed gives the same examples.
    """
    rows = examples(labels, len(classes), per_class, seed)
    counts = np.bincount(labels, minlength=len(classes)) if counts is None else counts
    names = [f"{shorten(name, 24)}  ({n:,})" for name, n in zip(classes, counts.tolist(), strict=True)]
    picture = mosaic(images, rows, per_class)
    row = min(0.6, (TALLEST - 1) / max(len(classes), 1))
    size = min(8.5, 50 * row)
    margin, top = 0.3 + max(map(len, names), default=0) * size * 0.62 / 72, 0.45
    tall = row * len(classes)
    wide = tall * picture.shape[1] / picture.shape[0]
    width, height = max(margin + wide + 0.1, 4.5), tall + top + 0.1
    with styled():
        figure = Figure(figsize=(width, height))
        title = f"Random examples of {len(classes):,} classes (seed {seed})"
        figure.text(0.1 / width, 1 - 0.14 / height, title, va="top", fontsize=10, fontweight="bold")
        axes = figure.add_axes((margin / width, 0.1 / height, wide / width, tall / height))
        axes.imshow(picture, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        for i, name in enumerate(names):
            figure.text((margin - 0.1) / width, (0.1 + tall - (i + 0.5) * row) / height, name, ha="right",
                        va="center", fontsize=size)
    return figure


def thumbnail(image: np.ndarray, most: int = THUMBNAIL) -> np.ndarray:
    """The image as RGB (uint8 [h, w, 3]), shrunk if it has more than `most` pixels per side."""
    image = rgb(image)
    largest = max(image.shape[:2])
    if largest <= most:
        return image
    from PIL import Image

    height, width = (max(1, round(side * most / largest)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def rgb(image: np.ndarray) -> np.ndarray:
    """An image, uint8 [h, w, c], with three channels: the first three, or the first as grey."""
    return np.asarray(image[..., :3]) if image.shape[2] >= 3 else np.broadcast_to(image[..., :1], (*image.shape[:2], 3))
