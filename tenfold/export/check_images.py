"""The check images of a run: real images with labels, so that an export can be checked without the data set."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold.data.dataset import Dataset, Split
from tenfold.data.splits import stratified
from tenfold.errors import RunError

if TYPE_CHECKING:
    from tenfold.run import Run

NAME = "check.npz"
MOST = 512  # images
MOST_BYTES = 16 << 20  # of pixels: 111 images of 224×224 pixels
READ = 64  # images read at a time


@dataclass(frozen=True)
class CheckImages:
    """Real images of a run: uint8 [n, *shape], their labels int64 [n] and the split that they are from."""

    images: np.ndarray
    labels: np.ndarray
    split: str

    def thinned(self, count: int) -> CheckImages:
        """At most `count` of the images, evenly spaced."""
        step = max(1, -(-len(self.images) // count))
        return CheckImages(self.images[::step], self.labels[::step], self.split)


def choose(dataset: Dataset) -> CheckImages:
    """Up to 512 images, 16 MiB of pixels, of the validation split, else of the training split; never of the test split.

    The selection is stratified and always the same.
    """
    name = "validation" if dataset.validation is not None and len(dataset.validation) else "train"
    count = min(MOST, max(1, MOST_BYTES // math.prod(dataset.shape)))
    split = selection(dataset.splits()[name], count)
    parts = [split.images[np.arange(start, min(start + READ, len(split)))] for start in range(0, len(split), READ)]
    return CheckImages(np.concatenate(parts), split.labels, name)


def selection(split: Split, count: int) -> Split:
    """A stratified selection of at most `count` images of a split, always the same one."""
    return split.take(stratified(split.labels, min(count, len(split)), np.random.default_rng(0)))


def write(run: Run, kept: CheckImages) -> None:
    """Write `check.npz`. Raises StorageError."""

    def fill(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, images=kept.images, labels=kept.labels, split=np.array(kept.split))

    run.write(NAME, fill)


def read(run: Run) -> CheckImages:
    """The check images of a run. Raises RunError if it has none or if they are damaged."""
    path = run.path / NAME
    if not path.is_file():
        raise RunError(f"{run.path}: received no {NAME}; expected the images that exports are checked on: train the "
                       "model again, which writes them")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = CheckImages(file["images"], file["labels"], str(file["split"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        found = None
    if found is None or found.images.dtype != np.uint8 or found.images.ndim != 4 or not len(found.images) or (
            found.labels.shape != (len(found.images),)):
        raise RunError(f"{path}: is damaged; delete it and export again where the run's data set is")
    return found
