"""From the splits that a source has to the splits that a recipe asks for: class subsets, held-out
splits and training subsets, all stratified and seeded, with every count exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.data.dataset import Dataset, Split
from tenfold.data.view import Images, blocks
from tenfold.errors import UsageError, unknown
from tenfold.recipe import DataSection


def prepare(dataset: Dataset, section: DataSection) -> Dataset:
    """The data set that a recipe's `[data]` section asks for: always a train split, the others as it says.

    In this order: only `section.classes`, relabelled in that order; a test split held out of train if
    the source has none; a validation split likewise; `section.train_size` of the images that are left.
    Held-out splits and subsets are stratified and chosen by `section.seed`; images keep their order.

    Raises UsageError for an unknown class, and for a request that the data can't meet.
    """
    if section.classes:
        dataset = select_classes(dataset, section.classes)
    if dataset.test is None and section.test:
        dataset = _hold_out(dataset, "test", section.test, section.seed, stream=0)
    if dataset.validation is None and section.validation:
        dataset = _hold_out(dataset, "validation", section.validation, section.seed, stream=1)
    if section.train_size is not None:
        dataset = replace(dataset, train=_subset(dataset.train, section.train_size, section.seed, stream=2))
    return dataset


def select_classes(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """Only the images of `classes`, labelled 0, 1, … in the order given.

    Raises UsageError for an unknown class, for fewer than two, or for one given twice.
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
                             "choose classes that it has")
        chosen = split.take(indices, f"{split.describe()}, {len(classes)} of {len(dataset.classes)} classes")
        splits[name] = replace(chosen, labels=new[chosen.labels])
    return replace(dataset, classes=tuple(classes), **splits)


def stratified(labels: np.ndarray, size: int, rng: np.random.Generator, leave: int = 0) -> np.ndarray:
    """Indices (int64 [size], ascending) of images chosen so that classes keep their proportions.

    `labels` is int64 [n]. Every class gives at least one image if `size` is at least the number of
    classes, and keeps at least `leave` (as long as it has more than that). Raises ValueError if there
    are fewer than `size` images to choose from.
    """
    counts = np.bincount(labels)
    share = allocate(counts, size, np.maximum(counts - leave, 0))
    chosen = [rng.permutation(np.flatnonzero(labels == label))[:number] for label, number in enumerate(share)]
    return np.sort(np.concatenate(chosen))


def allocate(counts: np.ndarray, size: int, highest: np.ndarray) -> np.ndarray:
    """`size` divided over classes of `counts` images (int [k]) by largest remainder: int64 [k].

    No class gets more than its `highest`, and each that may have one gets at least one where `size` is
    enough for all. Raises ValueError if `size` is more than the sum of `highest`.
    """
    if size > highest.sum():
        raise ValueError(f"{size} of {highest.sum()} images")
    total = int(counts.sum())
    lowest = np.minimum(highest, 1 if size >= (counts > 0).sum() else 0)
    share = np.clip(size * counts // max(total, 1), lowest, highest)
    while (missing := size - int(share.sum())) != 0:
        # What a class is short of its due, in units of 1/total image: exact, unlike a fraction.
        short = size * counts - share * total
        able = share < highest if missing > 0 else share > lowest
        order = np.argsort(-short if missing > 0 else short, kind="stable")
        share[order[able[order]][: abs(missing)]] += 1 if missing > 0 else -1
    return share


def summary(dataset: Dataset) -> dict[str, Any]:
    """What `tenfold data show` shows: plain values, ready for JSON.

    Name, URI, classes and shape of the data set; for each split the number of images, where they come
    from, whether that is partial, images per class, and mean and standard deviation (population) of
    the pixels of each channel, on the scale 0–255.
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
    """Mean and standard deviation (population) of each channel of uint8 [n, h, w, c]: float64 [c] twice."""
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


def _hold_out(dataset: Dataset, name: str, share: float, seed: int, stream: int) -> Dataset:
    """`dataset` with the split `name` taken out of its train split."""
    train, key = dataset.train, f"data.{name}"
    size = round(share * len(train)) if share < 1 else int(share)
    spare = int(np.maximum(np.bincount(train.labels) - 1, 0).sum())
    if size == 0:
        raise UsageError(f"{key}: received {share:g} of {len(train):,} training images, which is none; "
                         f"expected at least one image; set {key} to a number of images, or "
                         "to 0 for no split")
    if size > spare:
        raise UsageError(f"{key}: received {share:g}, that is {size:,} of {len(train):,} training images; "
                         f"expected at most {spare:,}, so that each class keeps one in train; lower {key}")
    held = stratified(train.labels, size, np.random.default_rng([seed, stream]), leave=1)
    rest = np.setdiff1d(np.arange(len(train)), held, assume_unique=True)
    words = f"{size:,} images, stratified, seed {seed}"
    origin = f"; train: {train.describe()}" if train.partial else ""
    left = train.take(rest, f"{train.describe()}, without {size:,} held out for {name}")
    taken = train.take(held, f"held out of train ({words}{origin})")
    taken = replace(taken, provenance=replace(taken.provenance, held_out=True))
    splits: dict[str, Any] = {"train": left, name: taken}
    return replace(dataset, **splits)


def _subset(train: Split, size: int, seed: int, stream: int) -> Split:
    """`size` of the training images."""
    present = len(np.unique(train.labels))
    if not present <= size <= len(train):
        raise UsageError(f"data.train_size: received {size:,}; expected {present:,} (one for each class) to "
                         f"{len(train):,} (the training images after the held-out splits); "
                         "set it within these")
    if size == len(train):
        return train
    chosen = stratified(train.labels, size, np.random.default_rng([seed, stream]))
    return train.take(chosen, f"{train.describe()}, a subset of {size:,} (stratified, seed {seed})")
