"""What is known of the images of a data set before any training, as plots and the page of `data explore` show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Found:
    """A finding: its kind, the rows of its images (int64 [m]), its score and what was found, in words."""

    kind: str
    rows: np.ndarray
    score: float
    words: str


@dataclass(frozen=True)
class FoundKind:
    """A kind of finding: its name, its meaning, what to do about it, and the number of findings."""

    name: str
    meaning: str
    advice: str
    count: int

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class Looks:
    """Small versions of n images, and what their pixels tell.

    small: uint8 [n, h, w, 3]; examples: some of them larger, uint8 [m, h, w, 3]; means: the mean image of each class,
    float32 [k, h, w, 3], NaN for classes without images; colours: the mean colour of each image, float32 [n, 3], 0 to
    255.
    """

    small: np.ndarray
    examples: np.ndarray
    means: np.ndarray
    colours: np.ndarray


@dataclass(frozen=True)
class Explored:
    """The n images of a data set, one split after the other.

    examples: rows of random images of each class, int64 [m]; splits: names; labels, split_of: int64 [n]; names: the
    path of each image, empty if the images are no files (then they are called "split:number"); sizes: width and height
    of the files, int64 [n, 2], or None; places: the map, float32 [n, 2] from 0 to 1, or None; method: what drew it;
    notes: sentences about what is missing.
    """

    name: str
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    labels: np.ndarray
    split_of: np.ndarray
    names: tuple[str, ...]
    looks: Looks
    examples: np.ndarray
    shape: tuple[int, int, int]
    sizes: np.ndarray | None = None
    places: np.ndarray | None = None
    method: str = ""
    kinds: Sequence[FoundKind] = ()
    findings: Sequence[Found] = ()
    notes: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def counts(self) -> np.ndarray:
        """The number of images by class and split, int64 [k, splits]."""
        found = np.zeros((len(self.classes), len(self.splits)), np.int64)
        np.add.at(found, (self.labels, self.split_of), 1)
        return found

    def count_of(self) -> Mapping[str, Mapping[str, int]]:
        """The number of images by split, then class."""
        return {split: dict(zip(self.classes, self.counts[:, i].tolist(), strict=True))
                for i, split in enumerate(self.splits)}

    def name_of(self, row: int) -> str:
        """The path of an image, or "split:number"."""
        if self.names:
            return self.names[row]
        split = int(self.split_of[row])
        return f"{self.splits[split]}:{row - int(np.argmax(self.split_of == split))}"

    @cached_property
    def worst(self) -> np.ndarray:
        """The position in `kinds` of the most harmful kind of finding of each image, int64 [n]; -1 without any."""
        order = {kind.name: i for i, kind in enumerate(self.kinds)}
        found = np.full(len(self), len(order), np.int64)
        for each in self.findings:
            np.minimum.at(found, each.rows, order[each.kind])
        return np.where(found == len(order), -1, found)
