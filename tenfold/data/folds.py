"""Cross-validation: divide the training images into folds, each of which is left out once."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from tenfold.counted import are, counted
from tenfold.data.dataset import Dataset
from tenfold.errors import UsageError
from tenfold.later import importing_sklearn
from tenfold.recipe import DataSection


def leave_out(dataset: Dataset, section: DataSection) -> Dataset:
    """The data set with the fold `section.fold` of its training images in the place of the test split.

    Raises UsageError if the images can't be divided into `section.folds` folds.
    """
    assert section.folds is not None
    train, count = dataset.train, section.folds
    numbers = fold_numbers(train.labels, train.groups, count, section.seed)
    fault = _fault(numbers, train.labels, count, dataset.classes)
    if fault:
        unit = "images" if train.groups is None else "groups of images, because groups are kept whole"
        raise UsageError(f"data.folds: received {count}; {fault}; expected at least {count} {unit}, and at least 2 of "
                         "each class; set fewer folds, or leave out a class with data.classes")
    whole = "" if train.groups is None else ", groups whole"
    words = f"fold {section.fold} of {count} of train, stratified{whole}, seed {section.seed}"
    origin = f"; train: {train.describe()}" if train.partial else ""
    left_out = train.take(np.flatnonzero(numbers == section.fold), words + origin)
    left_out = replace(left_out, provenance=replace(left_out.provenance, held_out=True, fold_of=train.identity()))
    rest = train.take(np.flatnonzero(numbers != section.fold),
                      f"{train.describe()}, without fold {section.fold} of {count}")
    return replace(dataset, train=rest, test=left_out)


def fold_numbers(labels: np.ndarray, groups: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """The fold of each image, from 1 to `count`: int64 [n]. Classes keep their proportions; groups stay whole.

    labels, groups: int64 [n]. A fold may be empty, or miss a class, if there are too few images or groups.
    """
    with importing_sklearn():
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    found = np.zeros(len(labels), np.int64)
    splitter = (StratifiedKFold if groups is None else StratifiedGroupKFold)(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # each image is predicted, also of a rare class
        try:
            for number, (_, left_out) in enumerate(splitter.split(labels, labels, groups), 1):
                found[left_out] = number
        except ValueError:  # no class has as many images as there are folds
            pass
    return found


def _fault(numbers: np.ndarray, labels: np.ndarray, count: int, classes: tuple[str, ...]) -> str | None:
    """Why these folds can't be used, or None: each must hold images, and leave some of every class."""
    sizes = np.bincount(numbers, minlength=count + 1)
    if sizes[0] or not sizes[1:].all():
        return f"{counted(len(labels), 'training image')} {are(len(labels), 'does', 'do')} not fill them"
    for number in range(1, count + 1):
        gone = np.setdiff1d(labels, labels[numbers != number])
        if len(gone):
            return f"the class {classes[gone[0]]} would be in one fold only"
    return None
