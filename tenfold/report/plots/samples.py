"""Plots of images: training samples, first predictions, most confident errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tenfold.counted import counted
from tenfold.decisions.temperature import as_predicted
from tenfold.evaluation.misclassified import Guess, guesses, most_confident
from tenfold.report.material import evaluated
from tenfold.report.plots.grid import Cell, draw_cells
from tenfold.report.plots.plot import IMAGES, Material, plot
from tenfold.report.plots.style import shorten

SEED = 0
NAME = 17  # columns of a class name below an image


def sample_indices(count: int, most: int) -> np.ndarray:
    """Up to `most` random indices below `count`, without repetition (int64, ascending), the same each time."""
    return np.sort(np.random.default_rng(SEED).permutation(count)[:most])


def guess_cell(image: np.ndarray, guess: Guess, classes: Sequence[str]) -> Cell:
    """The image with its true class and prediction (✓ or ✗) below; without the true class if it is unknown."""
    probability = f"{100 * guess.probability:.1f} %"
    if guess.true is None:
        return Cell(image, (shorten(classes[guess.predicted], NAME + 3), probability))
    said = f"{'✓' if guess.correct else '✗'} {shorten(classes[guess.predicted], NAME)}"
    return Cell(image, (f"true: {shorten(classes[guess.true], NAME)}", said, probability),
                wrong=not guess.correct, strong="" if guess.correct else said)


def sample_cells(material: Material) -> list[Cell]:
    """Random training images with their labels; empty without training images."""
    if material.samples is None:
        return []
    images, labels = material.samples
    return [Cell(images[i], (shorten(material.classes[labels[i]], NAME + 3),))
            for i in sample_indices(len(labels), 20).tolist()]


def first_cells(material: Material) -> list[Cell]:
    """The first ten validation images with true and predicted class; empty without validation images."""
    if material.validation is None:
        return []
    images, labels, probabilities = material.validation
    stated = as_predicted(probabilities, material.decisions)
    return [guess_cell(images[g.index], g, material.classes) for g in guesses(labels, stated, 10)]


@plot("samples", "Training samples", "Random training images with their labels, before augmentation.",
      section=IMAGES)
def samples(material: Material) -> Figure | None:
    """Random training images with their labels."""
    cells = sample_cells(material)
    if material.samples is None or not cells:
        return None
    images = counted(len(material.samples[1]), "image")
    return draw_cells(cells, 5, f"Training samples: {len(cells)} of {images} (seed {SEED})")


@plot("first_validation", "First validation images",
      "The first ten images of the validation split. ✓: correct, ✗: wrong (with a dashed frame). The percentage "
      "is the probability of the predicted class, as in predictions: calibrated, if there are decision rules.",
      section=IMAGES)
def first_validation(material: Material) -> Figure | None:
    """The first ten validation images with true and predicted class."""
    cells = first_cells(material)
    if not cells:
        return None
    wrong = sum(cell.wrong for cell in cells)
    right = len(cells) - wrong
    return draw_cells(cells, 5, f"First {counted(len(cells), 'validation image')}: {right} correct, {wrong} wrong")


@plot("confident_errors", "Most confident errors",
      "Wrong predictions with the highest probabilities, most confident first. Mislabelled images show up here.",
      section=IMAGES)
def confident_errors(material: Material) -> Figure | None:
    """The most confident errors on test, otherwise on validation."""
    found = evaluated(material)
    if found is None:
        return None
    split, (images, labels, probabilities) = found
    errors = most_confident(labels, as_predicted(probabilities, material.decisions), 15)
    if not errors:
        return None
    total = int((probabilities.argmax(axis=1) != labels).sum())
    cells = [guess_cell(images[g.index], g, material.classes) for g in errors]
    return draw_cells(cells, 5, f"Most confident errors: {len(cells)} of {total:,} on the {split} split")
