"""Features and probabilities of all images: from a pretrained backbone, or from a trained run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.errors import DataError
from tenfold.inspection.labels import FOLDS, out_of_fold
from tenfold.progress import Watcher
from tenfold.recipe import Recipe

if TYPE_CHECKING:
    from tenfold.inspection.subject import Subject

BACKBONE = "EfficientNetLite0"
SIDE, SIDE_OF_MANY = 160, 96  # height and width at which the backbone sees the images
MANY = 20_000  # images from which on the smaller size has to do, for the time


def backbone_features(dataset: Dataset, watcher: Watcher) -> np.ndarray:
    """Features float32 [n, 1280] of the images of all splits, from the cache or added to it.

    Raises ModelFileError if the weights of the backbone are not installed.
    """
    from tenfold.training import split_features

    count = sum(map(len, dataset.splits().values()))
    recipe = Recipe.from_dict({"model": {"name": "pretrained", "backbone": BACKBONE, "trainable": "none",
                                         "image_size": SIDE if count < MANY else SIDE_OF_MANY}}, name="inspection")
    return np.concatenate(list(split_features(recipe, dataset, watcher).values()))


def probe_probabilities(subject: Subject) -> np.ndarray:
    """Probabilities float32 [n, k] by logistic regressions on the features, each fitted to other images.

    Equal and nearly equal images are judged together. Raises DataError if a class has too few images.
    """
    labels = subject.labels
    groups = np.arange(len(labels))
    for rows in (*subject.equal, *(rows for rows, _ in subject.near)):
        groups[rows] = groups[rows].min()
    counts = {label: len(np.unique(groups[labels == label])) for label in np.unique(labels)}
    small = [subject.dataset.classes[label] for label, count in counts.items() if count < FOLDS]
    if small:
        raise DataError(f"class {small[0]}: received fewer than {FOLDS} different images; expected at least {FOLDS} to "
                        "look for label errors: add images")
    return out_of_fold(subject.features, labels, groups, len(subject.dataset.classes), subject.watcher)


def judged_by(split_probabilities: Mapping[Any, np.ndarray]) -> Callable[[Subject], np.ndarray]:
    """As `probe_probabilities`, but with a run's own ones, float [m, k], of the splits that it did not train on."""
    def probabilities(subject: Subject) -> np.ndarray:
        found = probe_probabilities(subject)
        for name, p in split_probabilities.items():
            found[subject.splits == name] = p
        return found

    return probabilities
