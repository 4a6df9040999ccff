"""Make a recipe's splits from those of the source: class subsets, held-out splits and training subsets.

Selections are stratified and seeded, and their counts are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.counted import counted
from tenfold.data.dataset import Dataset, Split
from tenfold.data.exclusion import exclude
from tenfold.data.folds import leave_out
from tenfold.data.view import Images, blocks
from tenfold.errors import DataError, UsageError, unknown
from tenfold.recipe import DataSection

FEWEST = 100  # validation images of which a fraction is held out; with fewer, the best epoch is chosen by too few


def prepare(dataset: Dataset, section: DataSection) -> Dataset:
    """The data set with the splits of a recipe's `[data]` section.

    In this order: drop and relabel images as `section.exclude` says; keep only `section.classes`, relabelled in that
    order; hold a test split out of train if the source has none; with `section.folds`, put one fold of the training
    images in the place of the test split; hold out a validation split likewise; hold a calibration split out of
    validation; keep `section.train_size` of the remaining training images.
    Held-out splits and subsets are stratified and selected with `section.seed`; images keep their order.

    Raises DataError for a data set without training images, UsageError for an unknown class, unsuitable decisions, and
    sizes that the data can't provide.
    """
    if not len(dataset.train):
        raise DataError(f"data set {dataset.uri}: received no training images; expected some in each class")
    if section.exclude is not None:
        dataset = exclude(dataset, section.exclude)
    if section.classes:
        dataset = select_classes(dataset, section.classes)
    if dataset.test is None and section.test:
        dataset = _hold_out(dataset, "test", section.test, section.seed, stream=0)
    if section.folds is not None:
        dataset = leave_out(dataset, section)
    if dataset.validation is None and section.validation:
        dataset = _hold_out(dataset, "validation", section.validation, section.seed, stream=1)
    if dataset.validation is not None and section.calibration:
        dataset = _hold_out_calibration(dataset, dataset.validation, section)
    if section.train_size is not None:
        dataset = replace(dataset, train=_subset(dataset.train, section.train_size, section.seed, stream=2))
    return dataset


def select_classes(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """The data set with only the images of `classes`, labelled 0, 1, … in the given order.

    Raises UsageError for an unknown or repeated class and for fewer than two classes.
    """
    for name in classes:
        if name not in dataset.classes:
            raise UsageError(f"data.classes: {unknown('class', name, dataset.classes)}")
    twice = [name for i, name in enumerate(classes) if name in classes[:i]]
    if twice:
        raise UsageError(f"data.classes: received {twice[0]!r} twice; expected each class once")
    if len(classes) < 2:
        raise UsageError(f"data.classes: received only {classes[0]!r}; expected at least 2 classes"
                         if classes else "data.classes: received none; expected at least 2 classes")
    if tuple(classes) == dataset.classes:
        return dataset
    new = np.full(len(dataset.classes), -1, np.int64)
    new[[dataset.classes.index(name) for name in classes]] = np.arange(len(classes))
    splits: dict[str, Any] = {}
    for name, split in dataset.splits().items():
        indices = np.flatnonzero(new[split.labels] >= 0)
        if not len(indices):
            raise UsageError(f"data.classes: the {name} split has no image of {', '.join(classes)}; "
                             "choose other classes")
        chosen = split.take(indices, f"{split.describe()}, {len(classes)} of {len(dataset.classes)} classes")
        splits[name] = replace(chosen, labels=new[chosen.labels])
    return replace(dataset, classes=tuple(classes), **splits)


def stratified(labels: np.ndarray, size: int, rng: np.random.Generator, leave: int = 0) -> np.ndarray:
    """Indices (int64 [size], ascending) of a stratified selection: classes keep their proportions.

    `labels` is int64 [n]. If `size` is at least the number of classes, at least one image of every class is selected.
    At least `leave` images of every class remain (or all, if it has fewer). Raises ValueError if fewer than `size`
    images are available.
    """
    counts = np.bincount(labels)
    allocated = allocate(counts, size, np.maximum(counts - leave, 0))
    chosen = [rng.permutation(np.flatnonzero(labels == label))[:number] for label, number in enumerate(allocated)]
    return np.sort(np.concatenate(chosen))


def whole_groups(labels: np.ndarray, groups: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Indices (int64, ascending) of about `size` images in whole groups; classes keep their proportions, nearly.

    labels, groups: int64 [n]. Groups are taken in random order as long as each brings the number of images of every
    class nearer to its share; at least one group of each class remains.
    """
    counts = np.bincount(labels)
    missing = allocate(counts, size, np.maximum(counts - 1, 0)).astype(np.int64)
    _, numbers = np.unique(groups, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(numbers))[:-1])
    left, taken = counts.copy(), []
    for number in rng.permutation(len(members)):
        of_class = np.bincount(labels[members[number]], minlength=len(counts))
        present = of_class > 0
        nearer = np.abs(missing - of_class).sum() < np.abs(missing).sum()
        if nearer and (left[present] > of_class[present]).all():
            missing, left = missing - of_class, left - of_class
            taken.append(members[number])
    return np.sort(np.concatenate(taken)) if taken else np.zeros(0, np.int64)


def allocate(counts: np.ndarray, size: int, highest: np.ndarray) -> np.ndarray:
    """Distribute `size` over classes with `counts` images (int [k]) by the largest-remainder method: int64 [k].

    No class gets more than its `highest`. If `size` is at least the number of classes, every class gets at least one,
    unless its `highest` is 0. Raises ValueError if `size` exceeds the sum of `highest`.
    """
    if size > highest.sum():
        raise ValueError(f"{size} of {highest.sum()} images")
    total = int(counts.sum())
    lowest = np.minimum(highest, 1 if size >= (counts > 0).sum() else 0)
    allocated = np.clip(size * counts // max(total, 1), lowest, highest)
    while (missing := size - int(allocated.sum())) != 0:
        # Difference between the proportional number and the allocated one, in units of 1/total image: exact integers.
        remainder = size * counts - allocated * total
        adjustable = allocated < highest if missing > 0 else allocated > lowest
        order = np.argsort(-remainder if missing > 0 else remainder, kind="stable")
        allocated[order[adjustable[order]][: abs(missing)]] += 1 if missing > 0 else -1
    return allocated


def summary(dataset: Dataset) -> dict[str, Any]:
    """The output of `tenfold data show`, as plain values for JSON.

    Name, URI, classes and shape of the data set. For each split: the number of images, their source, whether the split
    is partial, the images per class, and mean and population standard deviation of the pixels per channel, on the
    scale 0–255.
    """
    return {
        "name": dataset.name,
        "uri": dataset.uri,
        "classes": list(dataset.classes),
        "shape": list(dataset.shape),
        "notes": list(dataset.notes),
        "splits": {name: _summarise(split, dataset.classes) for name, split in dataset.splits().items()},
    }


def _summarise(split: Split, classes: Sequence[str]) -> dict[str, Any]:
    counts = np.bincount(split.labels, minlength=len(classes))
    mean, sd = channel_statistics(split.images)
    return {
        "images": len(split),
        "source": split.describe(),
        "partial": split.partial,
        "counts": {name: int(count) for name, count in zip(classes, counts, strict=True)},
        "mean": mean.tolist(),
        "sd": sd.tolist(),
    }


def channel_statistics(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """(mean, population standard deviation) of each channel of uint8 images [n, h, w, c]: two float64 [c]."""
    channels = images.shape[3]
    histogram = np.zeros((channels, 256), np.int64)
    for block in blocks(images):
        for channel in range(channels):
            histogram[channel] += np.bincount(block[..., channel].ravel(), minlength=256)
    total = np.maximum(histogram.sum(axis=1), 1)
    mean = histogram @ np.arange(256.0) / total
    variance = (histogram * (np.arange(256.0) - mean[:, None]) ** 2).sum(axis=1) / total
    return mean, np.sqrt(variance)


# ----------------------------------------------------------------------------------------------------


def _hold_out(dataset: Dataset, name: str, amount: float, seed: int, stream: int) -> Dataset:
    """`dataset` with a split `name` held out of train. `amount` is a fraction, or from 1 a number of images."""
    train, key = dataset.train, f"data.{name}"
    size = round(amount * len(train)) if amount < 1 else int(amount)
    most = int(np.maximum(np.bincount(train.labels) - 1, 0).sum())
    if size == 0:
        raise UsageError(f"{key}: received {amount:g} of {counted(len(train), 'training image')}, which is none; "
                         f"expected at least one image; set {key} to a number of images, or "
                         "to 0 for no split")
    if size > most:
        raise UsageError(f"{key}: received {amount:g}, that is {size:,} of {counted(len(train), 'training image')}; "
                         f"expected at most {most:,}, so that train keeps one of each class; lower {key}")
    rng = np.random.default_rng([seed, stream])
    held = stratified(train.labels, size, rng, leave=1) if train.groups is None else \
        whole_groups(train.labels, train.groups, size, rng)
    if not len(held):
        raise UsageError(f"{key}: can't hold out {size:,} of {counted(len(train), 'training image')}, because their "
                         f"groups are too large to be kept whole; give the data set a {name} split of its own, set "
                         f"{key}=0, or choose other groups with data.group")
    size = len(held)
    rest = np.setdiff1d(np.arange(len(train)), held, assume_unique=True)
    whole = "" if train.groups is None else ", groups whole"
    origin = f"; train: {train.describe()}" if train.partial else ""
    left = train.take(rest, f"{train.describe()}, without {size:,} held out for {name}")
    taken = train.take(held, f"held out of train, stratified{whole}, seed {seed}{origin}")
    taken = replace(taken, provenance=replace(taken.provenance, held_out=True))
    splits: dict[str, Any] = {"train": left, name: taken}
    return replace(dataset, **splits)


def _hold_out_calibration(dataset: Dataset, validation: Split, section: DataSection) -> Dataset:
    """`dataset` with a calibration split held out of validation, where each class and group keeps its proportion.

    A fraction of too few images, or of images in too large groups, holds out none: the best epoch needs them.
    """
    amount, count = section.calibration, len(validation)
    if amount < 1 and count < FEWEST:
        return dataset
    size = round(amount * count) if amount < 1 else int(amount)
    most = int(np.maximum(np.bincount(validation.labels) - 1, 0).sum())
    if size > most and amount >= 1:
        raise UsageError(f"data.calibration: received {size:,}; expected at most {most:,} of the {count:,} validation "
                         "images, so that one of each class is left to choose by; lower data.calibration")
    rng, size = np.random.default_rng([section.seed, 3]), min(size, most)
    held = stratified(validation.labels, size, rng, leave=1) if validation.groups is None else \
        whole_groups(validation.labels, validation.groups, size, rng)
    if not len(held):
        return dataset
    rest = np.setdiff1d(np.arange(count), held, assume_unique=True)
    source = validation.describe()
    left = validation.take(rest, f"{source}, without {len(held):,} held out for calibration")
    left = replace(left, provenance=replace(left.provenance, held_out=validation.provenance.held_out))
    taken = validation.take(held, f"held out of validation, stratified, seed {section.seed}")
    taken = replace(taken, provenance=replace(taken.provenance, held_out=True))
    return replace(dataset, validation=left, calibration=taken)


def _subset(train: Split, size: int, seed: int, stream: int) -> Split:
    """A stratified subset of `size` training images."""
    present = len(np.unique(train.labels))
    if not present <= size <= len(train):
        raise UsageError(f"data.train_size: received {size:,}; expected {present:,} (one for each class) to "
                         f"{len(train):,} (the training images left after holding out splits)")
    if size == len(train):
        return train
    chosen = stratified(train.labels, size, np.random.default_rng([seed, stream]))
    return train.take(chosen, f"{train.describe()}, a subset of {size:,} (stratified, seed {seed})")
