"""Judge a model on images without labels, against labelled images that it did not learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenfold.evaluation.known_changes import changes
from tenfold.evaluation.looking import tempered
from tenfold.evaluation.novelty import Familiar
from tenfold.evaluation.shares import Share, shares
from tenfold.evaluation.unlabelled import Changed, Estimate, estimate
from tenfold.progress import Watcher
from tenfold.runtimes.fast import Fast

RARE = 0.05  # an image rarer than this looks new


@dataclass(frozen=True)
class Reference:
    """Labelled images that a model did not learn from.

    labels int64 [n] and probabilities float64 [n, k] at the temperature; a sample of them: images uint8 [m, h, w, c]
    with labels int64 [m], m > 1.
    """

    name: str
    labels: np.ndarray
    probabilities: np.ndarray
    temperature: float
    images: np.ndarray
    image_labels: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether the model is right on each image: bool [n]."""
        return self.probabilities.argmax(axis=1) == self.labels


@dataclass(frozen=True)
class Judgement:
    """The accuracy, the share of each class, and the distance and the rarity (see `Familiar`) of each image."""

    accuracy: Estimate
    shares: list[Share]
    distances: np.ndarray
    rarity: np.ndarray

    @property
    def new(self) -> float:
        """The fraction of the images that looks new; 5 % of known images do."""
        return float((self.rarity <= RARE).mean())


class Judge:
    """A model with its reference. Making one computes the reference's sample after every known change."""

    def __init__(self, predictor: Fast, reference: Reference, watcher: Watcher) -> None:
        self._reference = reference
        self._familiar = Familiar(predictor.features(reference.images))
        kinds = list(changes(reference.images.shape[3]))
        self._changed = []
        for number, change in enumerate(kinds):
            watcher.advance("corrupt", number, len(kinds), "rounds")
            features = predictor.features(change(reference.images))
            p = tempered(predictor, features, reference.temperature)
            self._changed.append(Changed(change.kind, float((p.argmax(axis=1) == reference.image_labels).mean()), p,
                                         float((self._rarity(features) <= RARE).mean())))
        watcher.advance("corrupt", len(kinds), len(kinds), "rounds")

    def __call__(self, features: np.ndarray, probabilities: np.ndarray) -> Judgement:
        """Judge images by their features float32 [n, d] and their probabilities float64 [n, k] at the temperature."""
        known, distances = self._reference, self._familiar.distances(features)
        rarity = self._familiar.rarity(distances)
        of_classes = shares(known.labels, known.probabilities, probabilities)
        accuracy = estimate(known.labels, known.probabilities, probabilities, self._changed,
                            float((rarity <= RARE).mean()), any(each.changed for each in of_classes))
        return Judgement(accuracy, of_classes, distances, rarity)

    def _rarity(self, features: np.ndarray) -> np.ndarray:
        return self._familiar.rarity(self._familiar.distances(features))
