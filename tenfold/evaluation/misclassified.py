"""Selects images to show: misclassified ones, cells of the confusion matrix, a gallery of each class.

All functions take labels, int64 [n], and probabilities, float [n, k]. Needs no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Guess:
    """The predicted class of the image at `index`, its probability, and the true class (None: unknown).

    name: the path of an own image, for example; empty for images without names.
    """

    index: int
    true: int | None
    predicted: int
    probability: float
    name: str = ""

    @property
    def correct(self) -> bool:
        return self.true == self.predicted


@dataclass(frozen=True)
class Neighbour:
    """A similar training image: index in the training split, label, cosine similarity, and its name if it has one."""

    index: int
    label: int
    similarity: float
    name: str = ""


@dataclass(frozen=True)
class Explained:
    """A prediction with its explanation.

    image: uint8 [h, w, c]; heats: (label, Grad-CAM of this class, float32 [h, w] from 0 to 1), first of the
    predicted class, then of the true class (the second most probable one if the true class is unknown), empty if
    the model has no convolution; neighbours: training images, nearest first.
    """

    guess: Guess
    image: np.ndarray
    heats: tuple[tuple[int, np.ndarray], ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


def named(guesses: Sequence[Guess], names: Sequence[str]) -> list[Guess]:
    """The guesses with the names of their images; `names` are those of the split, or empty."""
    return [replace(guess, name=names[guess.index]) for guess in guesses] if names else list(guesses)


def guesses(labels: np.ndarray, probabilities: np.ndarray, most: int) -> list[Guess]:
    """The predictions of the first `most` images, in order."""
    return [_guess(i, labels, probabilities) for i in range(min(most, len(labels)))]


def most_confident(labels: np.ndarray, probabilities: np.ndarray, most: int) -> list[Guess]:
    """The misclassified images with the highest probabilities, most confident first."""
    return _misclassified(labels, probabilities, most, sign=-1)


def least_confident(labels: np.ndarray, probabilities: np.ndarray, most: int) -> list[Guess]:
    """The misclassified images with the lowest probabilities, least confident first."""
    return _misclassified(labels, probabilities, most, sign=1)


def _misclassified(labels: np.ndarray, probabilities: np.ndarray, most: int, sign: int) -> list[Guess]:
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(sign * probabilities[wrong].max(axis=1, initial=0), kind="stable")
    return [_guess(i, labels, probabilities) for i in wrong[order][:most].tolist()]


def _guess(i: int, labels: np.ndarray, probabilities: np.ndarray) -> Guess:
    predicted = int(probabilities[i].argmax())
    return Guess(i, int(labels[i]), predicted, float(probabilities[i, predicted]))


@dataclass(frozen=True)
class Gallery:
    """Images for one class: correct predictions, most and least confident, and errors.

    misclassified: images of this class predicted as another class; predicted_as: images of other classes predicted as
    this class. The least confident image comes first in `least_confident`, the most confident one in all others.
    """

    label: int
    most_confident: tuple[Guess, ...]
    least_confident: tuple[Guess, ...]
    misclassified: tuple[Guess, ...]
    predicted_as: tuple[Guess, ...]


def gallery(labels: np.ndarray, probabilities: np.ndarray, label: int, most: int) -> Gallery:
    """The gallery of one class, with up to `most` images of each kind."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1, initial=0)
    is_true, is_predicted = labels == label, predicted == label

    def chosen(mask: np.ndarray, sign: int) -> tuple[Guess, ...]:
        indices = np.flatnonzero(mask)
        order = np.argsort(sign * confidence[indices], kind="stable")
        return tuple(_guess(i, labels, probabilities) for i in indices[order][:most].tolist())

    return Gallery(label, chosen(is_true & is_predicted, -1), chosen(is_true & is_predicted, 1),
                   chosen(is_true & ~is_predicted, -1), chosen(is_predicted & ~is_true, -1))


def cell(labels: np.ndarray, probabilities: np.ndarray, true: int, predicted: int, most: int) -> list[Guess]:
    """Images of one cell of the confusion matrix, most confident errors or least confident correct ones first."""
    confidence = probabilities.max(axis=1, initial=0)
    indices = np.flatnonzero((labels == true) & (probabilities.argmax(axis=1) == predicted))
    order = np.argsort(confidence[indices] * (1 if true == predicted else -1), kind="stable")
    return [_guess(i, labels, probabilities) for i in indices[order][:most].tolist()]
